// COUNT times: fork, the child ends at once, wait.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
    const long count = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0) _exit(0);
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            perror("fork");
            return 1;
        }
    }
    return 0;
}
