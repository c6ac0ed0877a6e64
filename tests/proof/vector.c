// Auxiliary vectors: read from all three places, edited, replaced.
//
// The stack is read by walking past the environment: getauxval() would do, but on x86 glibc rewrites AT_HWCAP before
// main. PR_SET_MM_MAP wants the whole memory layout with it; it is passed as the kernel has it.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proof.h"

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef PR_SET_MM_MAP
#define PR_SET_MM_MAP 14
#endif
enum { kAtHwcap3 = 29, kAtHwcap4 = 30 };

const unsigned long kWordTypes[kWords] = {AT_HWCAP, AT_HWCAP2, kAtHwcap3, kAtHwcap4};

// struct prctl_mm_map of <linux/prctl.h> as the 64-bit kernel wants it, also from 32-bit programs: it has no
// compatibility layer for this call, and there the header's pointer is too short.
struct map {
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end, auxv;
    uint32_t auxv_size, exe_fd;
};
_Static_assert(sizeof(struct map) == 104, "PR_SET_MM_MAP_SIZE");

static const struct entry* g_stack_entries;

static int word_index(unsigned long type) {
    for (int i = 0; i < kWords; ++i) {
        if (kWordTypes[i] == type) return i;
    }
    return -1;
}

static void end_vector(struct vector* vector) {
    for (unsigned i = 0; i < kMaximumEntries; ++i) {
        vector->count = i + 1;
        if (vector->entries[i].type == AT_NULL) return;
    }
    vector->count = 0;  // none: not a vector
}

void remember_stack(char** envp) {
    while (*envp) ++envp;
    g_stack_entries = (const struct entry*)(envp + 1);
}

struct vector stack_vector(void) {
    struct vector vector = {.count = 0};
    for (unsigned i = 0; i < kMaximumEntries; ++i) {
        vector.entries[i] = g_stack_entries[i];
        if (g_stack_entries[i].type == AT_NULL) break;
    }
    end_vector(&vector);
    return vector;
}

struct vector file_vector(void) {
    struct vector vector = {.count = 0};
    const int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : read(fd, vector.entries, sizeof vector.entries);
    if (fd >= 0) close(fd);
    if (got > 0) end_vector(&vector);
    return vector;
}

int call_vector(struct vector* vector) {
    memset(vector, 0, sizeof *vector);
    if (prctl(PR_GET_AUXV, vector->entries, sizeof vector->entries, 0, 0) < 0) return errno;
    end_vector(vector);
    return 0;
}

struct words words_of(const struct vector* vector) {
    struct words words = {.present = 0};
    for (unsigned i = 0; i < vector->count; ++i) {
        const int word = word_index(vector->entries[i].type);
        if (word < 0 || (words.present >> word & 1)) continue;
        words.present |= 1U << word;
        words.value[word] = vector->entries[i].value;
    }
    return words;
}

uint64_t types_of(const struct vector* vector) {
    uint64_t digest = 1469598103934665603ULL;
    for (unsigned i = 0; i < vector->count; ++i) digest = (digest ^ vector->entries[i].type) * 1099511628211ULL;
    return digest;
}

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));
extern void _start(void);

const char* not_own(const struct vector* vector) {
    for (unsigned i = 0; i < vector->count; ++i) {
        const unsigned long value = vector->entries[i].value;
        switch (vector->entries[i].type) {
            case AT_ENTRY:
                if (value != (unsigned long)&_start) return "AT_ENTRY";
                break;
            case AT_PHDR:
                if (value != (unsigned long)&__ehdr_start + __ehdr_start.e_phoff) return "AT_PHDR";
                break;
            case AT_PHNUM:
                if (value != __ehdr_start.e_phnum) return "AT_PHNUM";
                break;
            case AT_PAGESZ:
                if (value < 4096 || (value & (value - 1)) != 0) return "AT_PAGESZ";
                break;
            case AT_RANDOM:  // above the vector, in the same stack
                if (value <= (unsigned long)g_stack_entries || value - (unsigned long)g_stack_entries > 1U << 24) return "AT_RANDOM";
                break;
            case AT_EXECFN:
                if (value <= (unsigned long)g_stack_entries || value - (unsigned long)g_stack_entries > 1U << 24) return "AT_EXECFN";
                break;
            case AT_UID:
                if (value != getuid()) return "AT_UID";
                break;
            case AT_EUID:
                if (value != geteuid()) return "AT_EUID";
                break;
            default: break;
        }
    }
    return NULL;
}

// --- edits

static unsigned long highest_bit(unsigned long value) {
    return value == 0 ? 0 : 1UL << (8 * sizeof value - 1 - (unsigned)__builtin_clzl(value));
}

// The word that the kernel series' selftest changes: the last that is not zero.
static int target_of(const struct vector* vector) {
    const struct words words = words_of(vector);
    for (int word = kWords - 1; word >= 0; --word) {
        if (words.value[word] != 0) return word;
    }
    return -1;
}

static void remove_entry(struct vector* vector, unsigned at) {
    memmove(vector->entries + at, vector->entries + at + 1, (vector->count - at - 1) * sizeof vector->entries[0]);
    --vector->count;
}

// Moves an entry to behind the closing AT_NULL, and closes again.
static void put_behind_null(struct vector* vector, unsigned at) {
    const struct entry moved = vector->entries[at];
    remove_entry(vector, at);
    vector->entries[vector->count++] = moved;
    vector->entries[vector->count++] = (struct entry){AT_NULL, 0};
}

// Edits: own (none), target, all, low, zero, ones, ones-target, missing, first-missing, behind, empty, bogus.
bool edit_vector(struct vector* vector, const char* edit) {
    const int target = target_of(vector);
    if (strcmp(edit, "own") == 0) return true;
    if (strcmp(edit, "empty") == 0) {
        vector->entries[0] = (struct entry){AT_NULL, 0};
        vector->count = 1;
        return true;
    }
    const bool all = strcmp(edit, "all") == 0, low = strcmp(edit, "low") == 0, zero = strcmp(edit, "zero") == 0;
    const bool ones = strncmp(edit, "ones", 4) == 0, ones_target = strcmp(edit, "ones-target") == 0;
    const bool missing = strcmp(edit, "missing") == 0, behind = strcmp(edit, "behind") == 0;
    const bool first_missing = strcmp(edit, "first-missing") == 0, bogus = strcmp(edit, "bogus") == 0;
    const bool only_target = strcmp(edit, "target") == 0 || bogus || first_missing;
    if (!(all || low || zero || ones || missing || behind || only_target)) return false;
    bool low_done = false;
    for (unsigned i = 0; i < vector->count; ++i) {
        struct entry* entry = &vector->entries[i];
        const int word = word_index(entry->type);
        if (word < 0) {
            if (bogus && entry->type != AT_NULL) entry->value = 0x5a5a;
            continue;
        }
        const unsigned long highest = highest_bit(entry->value);
        if (zero) entry->value = 0;
        if (ones) entry->value = ones_target && word == target ? ~highest : ~0UL;
        if (all || missing || behind || (only_target && word == target)) entry->value &= ~highest;
        if (low && !low_done && entry->value != 0) {
            entry->value &= entry->value - 1;
            low_done = true;
        }
    }
    for (unsigned i = 0; i < vector->count; ++i) {
        const int word = word_index(vector->entries[i].type);
        if (word < 0) continue;
        if ((missing && word == target) || (first_missing && word == 0 && target != 0)) {
            remove_entry(vector, i);
            break;
        }
        if (behind && word == target) {
            put_behind_null(vector, i);
            break;
        }
    }
    return true;
}

// --- replacing

static bool read_layout(struct map* map) {
    char text[2048];
    const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) return false;
    text[got] = 0;
    char* at = strrchr(text, ')');
    if (!at) return false;
    ++at;
    uint64_t field[52] = {0};
    for (int number = 3; number <= 51; ++number) {
        while (*at == ' ') ++at;
        if (!*at) return false;
        field[number] = strtoull(at, NULL, 10);
        while (*at && *at != ' ') ++at;
    }
    *map = (struct map){.start_code = field[26], .end_code = field[27], .start_stack = field[28],
                        .start_data = field[45], .end_data = field[46], .start_brk = field[47],
                        .arg_start = field[48], .arg_end = field[49], .env_start = field[50], .env_end = field[51],
                        .brk = (uint64_t)(unsigned long)syscall(SYS_brk, 0), .exe_fd = ~0U};
    return true;
}

int replace_by_map(const struct vector* vector, enum flaw flaw) {
    struct map map;
    if (!read_layout(&map)) return EIO;
    map.auxv = (uint64_t)(unsigned long)vector->entries;
    map.auxv_size = (uint32_t)(vector->count * sizeof(struct entry));
    if (flaw == FLAW_BORDERS) map.arg_start = map.arg_end + 4096;
    if (flaw == FLAW_SIZE) map.auxv_size = 1U << 20;
    if (flaw == FLAW_POINTER) map.auxv = 8;
    if (flaw == NO_VECTOR) {
        map.auxv = 0;
        map.auxv_size = 0;
    }
    return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0 ? 0 : errno;
}

int replace_vector(const struct vector* vector, enum method method) {
    if (method == BY_MAP) return replace_by_map(vector, NO_FLAW);
    const unsigned long size = vector->count * sizeof(struct entry);
    return prctl(PR_SET_MM, PR_SET_MM_AUXV, vector->entries, size, 0) == 0 ? 0 : errno;
}
