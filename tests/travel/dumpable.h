// A process becomes one that CRIU can dump, in the folder where it is: a session of its own, no terminal, no descriptor of ours, its
// output appended to the file `output`. It is without CAP_SYS_RESOURCE, which not every machine's root has that it is to be restored on.
// Needs _GNU_SOURCE.
#pragma once

#include <fcntl.h>
#include <linux/capability.h>
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

static int become_dumpable(void) {  // 0, or -1
    const int input = open("input", O_CREAT | O_RDONLY, 0644);
    const int output = open("output", O_CREAT | O_WRONLY | O_APPEND, 0644);
    if (setsid() < 0 || input < 0 || output < 0) return -1;
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    close_range(3, ~0U, 0);
    return drop_resource_capability();
}
