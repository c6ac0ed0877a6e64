// launch FOLDER PROGRAM ARGUMENTS...
// Starts the program in FOLDER as something that CRIU can dump (dumpable.h). Its pid goes to FOLDER/pid. Ends when the program
// ends, as it does.
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/wait.h>

#include "dumpable.h"

int main(int count, char** words) {
    if (count < 3 || chdir(words[1]) != 0) return 2;
    const pid_t child = fork();
    if (child == 0) {
        if (become_dumpable() != 0) _exit(126);
        FILE* file = fopen("pid", "w");
        if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0) _exit(126);
        execv(words[2], words + 2);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
