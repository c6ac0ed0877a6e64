// Loaded into the QEMU of a machine that QEMU itself emulates (LD_PRELOAD; docs/decisions/026-cpuid-faulting-in-the-lab.md), so that
// its guest has XSAVE and AVX. QEMU's emulation does not intercept XSETBV: the guest's write reaches the CPU, but not KVM, which goes
// on with the value of a reset (x87 alone), answers CPUID leaf 0xD for that, and sets it again at its next entry. A guest that has had
// x87, SSE and AVX since its reset loses nothing by that.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdlib.h>

enum { kX87 = 1, kSse = 2, kAvx = 4 };

int ioctl(int fd, unsigned long request, ...) {
    static int (*next)(int, unsigned long, void*);
    if (next == NULL) next = (int (*)(int, unsigned long, void*))dlsym(RTLD_NEXT, "ioctl");
    if (next == NULL) abort();
    va_list rest;
    va_start(rest, request);
    void* const argument = va_arg(rest, void*);
    va_end(rest);
    if (request == KVM_SET_XCRS) ((struct kvm_xcrs*)argument)->xcrs[0].value = kX87 | kSse | kAvx;
    return next(fd, request, argument);
}
