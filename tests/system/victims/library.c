// A shared library that executes CPUID, in its constructor and when called. See use_library.c.
#include "common.h"

static uint32_t at_load;

__attribute__((constructor)) static void on_load(void) { at_load = cpuid(7, 0).ebx; }

uint32_t library_at_load(void) { return at_load; }
uint32_t library_now(void) { return cpuid(7, 0).ebx; }
