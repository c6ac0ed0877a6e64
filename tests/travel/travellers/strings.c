// libc's string functions, and after the arrival functions that are bound lazily then. Dynamic and static.
#define _GNU_SOURCE
#include <math.h>
#include <strings.h>
#include <wchar.h>

#include "string_work.h"

// Arguments in vector registers, which the resolver must keep.
static void lazily_bound(void) {
    GUARD(guard);
    volatile double base = 2.0;
    volatile double exponent = 10.0;
    CHECK(pow(base, exponent) == 1024.0);
    CHECK(fabs(sin(base) - 0.9092974268256817) < 1e-15);
    CHECK(fma(base, exponent, 1.0) == 21.0);
    CHECK(strcasecmp("LeVel", "lEvEL") == 0);
    CHECK(strspn("aaabbbccc", "ab") == 6);
    const char* text = "the machine that it was started on, and the machine that it goes on on";
    CHECK(strstr(text, "goes on") != NULL && strrchr(text, 'g') != NULL);
    CHECK(memmem(text, strlen(text), "was started", 11) != NULL);
    CHECK(strnlen(text, 5) == 5 && memrchr(text, 't', 3) == text);
    wchar_t wide[100];
    CHECK(wmemset(wide, L'w', 99) == wide);
    wide[99] = L'\0';
    CHECK(wcslen(wide) == 99);
    char printed[64];
    snprintf(printed, sizeof printed, "%.3f %s", base * exponent, "done");
    CHECK(strncmp(printed, "20.000 done", sizeof printed) == 0);
    check_guard(guard);
}

int main(void) { return travel(string_work, lazily_bound); }
