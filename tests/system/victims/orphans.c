// Leaves COUNT orphans behind, waits until whoever is their new parent has reaped them all, and says so. When
// nobody reaps them, they stay zombies, and this ends with an error after ten seconds.
#define _GNU_SOURCE
#include <poll.h>
#include <sys/wait.h>

#include "common.h"

int main(int argc, char** argv) {
    const long count = argc > 1 ? atol(argv[1]) : 10;
    pid_t* orphans = calloc((size_t)count, sizeof *orphans);
    int ends[2];
    MUST(orphans != NULL && pipe(ends) == 0, "pipe");
    for (long i = 0; i < count; ++i) {
        const pid_t middle = fork();
        if (middle == 0) {
            const pid_t orphan = fork();
            if (orphan == 0) {
                cpuid(0, 0);
                _exit(1);
            }
            _exit(write(ends[1], &orphan, sizeof orphan) == sizeof orphan ? 0 : 1);
        }
        int status = 0;
        MUST(waitpid(middle, &status, 0) == middle && status == 0, "the middle process: %d", status);
        MUST(read(ends[0], &orphans[i], sizeof orphans[i]) == sizeof orphans[i], "read");
    }
    for (long i = 0; i < count; ++i) {
        for (int tries = 0; kill(orphans[i], 0) == 0; ++tries) {
            MUST(tries < 1000, "orphan %d is not reaped", (int)orphans[i]);
            poll(NULL, 0, 10);  // its parent is not us: there is no event to wait for
        }
    }
    printf("reaped=%ld\nparent=%d\n", count, (int)getppid());
    return 0;
}
