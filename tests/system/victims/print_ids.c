// Who the process is: for setuid programs. `secure` is AT_SECURE.
#include <sys/auxv.h>
#include <sys/prctl.h>

#include "common.h"

int main(void) {
    printf("uid=%d\neuid=%d\ngid=%d\negid=%d\nsecure=%lu\n", (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid(),
           getauxval(AT_SECURE));
    printf("no_new_privs=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    printf("hwcap2=0x%lx\nleaf7.ebx=0x%08x\n", getauxval(AT_HWCAP2), cpuid(7, 0).ebx);
    return 0;
}
