// detached FOLDER PROGRAM ARGUMENTS...
// Becomes the program as something that CRIU can dump: a session of its own, no terminal, no descriptor of ours, in FOLDER,
// its output appended to FOLDER/output. It is without CAP_SYS_RESOURCE, which not every machine's root has that it is to be
// restored on.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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
    if (setsid() < 0) return 126;
    const int input = open("input", O_CREAT | O_RDONLY, 0644);
    const int output = open("output", O_CREAT | O_WRONLY | O_APPEND, 0644);
    if (input < 0 || output < 0) return 126;
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    close_range(3, ~0U, 0);
    if (drop_resource_capability() != 0) return 126;
    execv(words[2], words + 2);
    return 127;
}
