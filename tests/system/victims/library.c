// A shared library that executes CPUID, in its constructor and when called; or one that has none. See use_library.c.
#include "common.h"

#ifdef WITHOUT_CPUID
#define cpuid(leaf, subleaf) ((struct registers){0, 0, 0, 0})
#endif

static uint32_t at_load;

__attribute__((constructor)) static void on_load(void) { at_load = cpuid(7, 0).ebx; }

uint32_t library_at_load(void) { return at_load; }
uint32_t library_now(void) { return cpuid(7, 0).ebx; }
