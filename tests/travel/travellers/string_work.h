// The string functions of libc, which it chooses by CPU, against loops over bytes.
#pragma once

#include "traveller.h"

enum { kText = 700 };

static inline void string_work(uint32_t* state) {
    char from[kText + 1];
    char to[kText + 1];
    // The loops must stay loops: a compiler would call the very functions that are tested.
    volatile const char* bytes = from;
    const size_t length = next_random(state) % kText;
    const size_t start = length ? next_random(state) % length : 0;
    for (size_t i = 0; i < length; ++i) from[i] = (char)('a' + next_random(state) % 26);
    from[length] = '\0';
    memset(to, '#', sizeof to);
    memcpy(to, from + start, length - start + 1);
    CHECK(strlen(from) == length && strlen(to) == length - start);
    CHECK(strcmp(to, from + start) == 0 && memcmp(to, from + start, length - start) == 0);
    CHECK(length == kText || start == 0 || to[kText] == '#');
    const char wanted = (char)('a' + next_random(state) % 26);
    size_t first = 0;
    while (first < length && bytes[first] != wanted) ++first;
    const char* found = strchr(from, wanted);
    CHECK(first == length ? found == NULL : found == from + first);
    CHECK(memchr(from, wanted, length) == found);
    memmove(from + length / 3, from, length - length / 3);
    CHECK(length < 3 || memcmp(from + length / 3, from, length / 3) == 0);
}
