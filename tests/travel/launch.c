// launch FOLDER PROGRAM ARGUMENTS...
// Starts the program as something that CRIU can dump: a session of its own, no terminal, no descriptor of ours. Its pid goes
// to FOLDER/pid. It is without CAP_SYS_RESOURCE, which not every machine's root has that it is to be restored on. Its output is appended to FOLDER/output. Ends when the program ends, as it does.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int drop_resource_capability(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE);
    if (syscall(SYS_capget, &header, sets) != 0) return -1;
    const unsigned keep = ~(1U << CAP_SYS_RESOURCE);
    sets[0].effective &= keep;
    sets[0].permitted &= keep;
    sets[0].inheritable &= keep;
    return (int)syscall(SYS_capset, &header, sets);
}

int main(int count, char** words) {
    if (count < 3 || chdir(words[1]) != 0) return 2;
    const pid_t child = fork();
    if (child == 0) {
        setsid();
        const int input = open("input", O_CREAT | O_RDONLY, 0644);
        const int output = open("output", O_CREAT | O_WRONLY | O_APPEND, 0644);
        if (input < 0 || output < 0) _exit(126);
        dup2(input, 0);
        dup2(output, 1);
        dup2(output, 2);
        close_range(3, ~0U, 0);
        if (drop_resource_capability() != 0) _exit(126);
        FILE* file = fopen("pid", "w");
        if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0) _exit(126);
        execv(words[2], words + 2);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
