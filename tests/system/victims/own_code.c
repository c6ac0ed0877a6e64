// What a program may do with its own text, of which CPUID instructions are changed under a level. Each of its modes prints the
// answer of CPUID leaf 7 (EBX) by a function of this file, before and after.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kPage = 4096 };

// On a page of its own. Five bytes before the CPUID and enough behind it, so that it can be changed in either way.
__attribute__((aligned(4096), noinline, section(".text.own_code"))) uint32_t leaf7(void) {
    uint32_t a = 7, b, c = 0, d;
    __asm__ volatile("cpuid; nop; nop; nop" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return b;
}

static unsigned char* site(void) {
    unsigned char* code = (unsigned char*)leaf7;
    for (int i = 0; i < 64; ++i) {
        if (code[i + 1] == 0xa2 && (code[i] == 0x0f || code[i] == 0xf4)) return code + i;
        if (code[i] == 0xe9) return code + i;
    }
    return NULL;
}

static void* page(void) { return (void*)((uintptr_t)leaf7 & ~(uintptr_t)(kPage - 1)); }

static void* ask_often(void* expected) {
    for (int i = 0; i < 20000; ++i) {
        if (leaf7() != *(uint32_t*)expected) return expected;
    }
    return NULL;
}

static int threads(uint32_t expected) {
    pthread_t thread[8];
    int wrong = 0;
    for (int i = 0; i < 8; ++i) {
        if (pthread_create(&thread[i], NULL, ask_often, &expected) != 0) return 1;
    }
    void* library = dlopen("libm.so.6", RTLD_NOW);  // code that is mapped and changed meanwhile
    for (int i = 0; i < 8; ++i) {
        void* result;
        pthread_join(thread[i], &result);
        wrong += result != NULL;
    }
    return wrong != 0 || library == NULL;
}

static int in_child(uint32_t expected, pid_t child) {
    if (child == 0) _exit(leaf7() == expected ? 0 : 1);
    int status = 1;
    return waitpid(child, &status, 0) != child || status != 0;
}

// The anonymous executable mapping that leaf7's jump leads to; NULL if there is none.
static void* stub_page(void) {
    const unsigned char* at = site();
    if (at == NULL || *at != 0xe9) return NULL;
    int32_t distance;
    memcpy(&distance, at + 1, sizeof distance);
    return (void*)((uintptr_t)(at + 5 + distance) & ~(uintptr_t)(kPage - 1));
}

int main(int argc, char** argv) {
    const char* mode = argc > 1 ? argv[1] : "";
    const uint32_t before = leaf7();
    printf("before=%08x\n", before);
    const unsigned char* at = site();
    printf("site=%s\n", at == NULL ? "none" : *at == 0xe9 ? "jump" : *at == 0xf4 ? "trap" : "cpuid");
    int failed = 0;
    if (strcmp(mode, "threads") == 0) failed = threads(before);
    if (strcmp(mode, "fork") == 0) failed = in_child(before, fork());
    if (strcmp(mode, "vfork") == 0) failed = in_child(before, vfork());
    if (strcmp(mode, "mprotect") == 0) {
        failed = mprotect(page(), kPage, PROT_READ | PROT_WRITE | PROT_EXEC) != 0;
        ((volatile unsigned char*)leaf7)[-0] = *(unsigned char*)leaf7;  // a write to the page that changes nothing
        failed |= mprotect(page(), kPage, PROT_READ | PROT_EXEC) != 0;
    }
    if (strcmp(mode, "remap") == 0) {  // text as the file has it, over the changed one
        Dl_info info;
        char file[4096];
        const ssize_t length = readlink("/proc/self/exe", file, sizeof file - 1);
        failed = length < 0 || dladdr((void*)leaf7, &info) == 0;
        file[length < 0 ? 0 : length] = 0;
        const int fd = open(file, O_RDONLY);
        // The file's offset of a page of text is its distance from the image's start here (see the linker's options).
        const off_t offset = (char*)page() - (char*)info.dli_fbase;
        failed |= mmap(page(), kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, offset) != page();
    }
    if (strcmp(mode, "move") == 0) {  // text moved elsewhere and back
        void* place = mmap(NULL, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        failed = mremap(page(), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, place) != place;
        failed |= mremap(place, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, page()) != page();
    }
    if (strcmp(mode, "stubs_unmapped") == 0 || strcmp(mode, "stubs_overmapped") == 0) {
        void* stubs = stub_page();
        if (stubs == NULL) {
            puts("nothing to unmap");
        } else if (strcmp(mode, "stubs_unmapped") == 0) {
            failed = munmap(stubs, kPage) != 0;
        } else {  // the program wants the place for data of its own
            char* data = mmap(stubs, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            failed = data != stubs;
            memset(stubs, 0x5a, kPage);
            if (leaf7() != before) failed = 1;
            for (int i = 0; i < kPage; ++i) failed |= data[i] != 0x5a;
        }
    }
    const uint32_t after = leaf7();
    printf("after=%08x\n", after);
    printf("failed=%d\n", failed);
    return failed;
}
