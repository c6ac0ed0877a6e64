// Loads the library of argv[1] with dlopen many times over, also from a thread, and prints what CPUID says in it.
#include <dlfcn.h>
#include <pthread.h>

#include "common.h"

static const char* path;
static uint32_t at_load, now;

static void* load(void* unused) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    MUST(library != NULL, "%s", dlerror());
    uint32_t (*const load_function)(void) = (uint32_t(*)(void))dlsym(library, "library_at_load");
    uint32_t (*const now_function)(void) = (uint32_t(*)(void))dlsym(library, "library_now");
    MUST(load_function != NULL && now_function != NULL, "%s", dlerror());
    at_load = load_function();
    now = now_function();
    MUST(dlclose(library) == 0, "%s", dlerror());
    return unused;
}

int main(int argc, char** argv) {
    MUST(argc == 2, "usage: use_library PATH");
    path = argv[1];
    for (int i = 0; i < 20; ++i) {
        load(NULL);
        MUST(at_load == cpuid(7, 0).ebx && now == at_load, "round %d: %08x, %08x in the library", i, at_load, now);
    }
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, load, NULL) == 0 && pthread_join(thread, NULL) == 0, "thread");
    printf("at_load.leaf7.ebx=0x%08x\nleaf7.ebx=0x%08x\n", at_load, now);
    return 0;
}
