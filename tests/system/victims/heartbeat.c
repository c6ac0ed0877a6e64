// Writes a line a hundred times a second until told otherwise (or for thirty seconds), each time with the pid;
// "heartbeat N" from N processes. With an argument "exec" each beat also starts /bin/true. No CPUID.
#define _GNU_SOURCE
#include <poll.h>
#include <sys/wait.h>

#include "common.h"

int main(int argc, char** argv) {
    const int processes = argc > 1 ? atoi(argv[1]) : 1;
    const int with_exec = argc > 2;
    for (int i = 1; i < processes; ++i) {
        if (fork() == 0) {
            break;
        }
    }
    for (int beat = 0; beat < 3000; ++beat) {
        char line[64];
        const int length = snprintf(line, sizeof line, "beat=%d %d\n", (int)getpid(), beat);
        if (write(1, line, (size_t)length) != length) {
            return 1;
        }
        if (with_exec) {
            const pid_t child = fork();
            if (child == 0) {
                execl("/bin/true", "true", (char*)NULL);
                _exit(1);
            }
            int status = 0;
            // One that is just starting when its supervisor is killed dies of the trap that it runs into.
            if (waitpid(child, &status, 0) != child || (status != 0 && !WIFSIGNALED(status))) {
                return 2;
            }
        }
        poll(NULL, 0, 10);
    }
    return 0;
}
