#include "profile/native.h"

// The only place that asks what is being compiled for.
#if defined(__x86_64__)
#include "profile/native_x86_64.inc"
#elif defined(__aarch64__)
#include "profile/native_aarch64.inc"
#else
#include "profile/native_other.inc"
#endif
