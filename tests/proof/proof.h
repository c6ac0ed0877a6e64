// A proof of HWCAP inheritance (docs/inheritance.md), from inside: a program that changes its own saved vector, starts
// itself again in many ways, and looks at what it was given. It knows nothing of who makes inheritance happen: the
// kernel, a tracer or BPF. Linked statically, by itself, so that it runs as it is on any machine:
//
//     cc -std=gnu17 -O1 -static -pthread -o proof *.c
//
// Three parts: vector.c reads, edits and replaces vectors; steps.c is what a started process does, one step after the
// other, over any number of execs; cases.c lists the steps and what must come of them; proof.c runs and judges.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// --- vector.c

enum { kWords = 4, kMaximumEntries = 64 };
extern const unsigned long kWordTypes[kWords];  // AT_HWCAP, AT_HWCAP2, AT_HWCAP3, AT_HWCAP4

struct entry {
    unsigned long type, value;
};
struct vector {
    struct entry entries[kMaximumEntries];
    unsigned count;  // with the closing AT_NULL; 0: could not be read
};

// The HWCAP words of a vector; the same layout in 32- and 64-bit programs.
struct words {
    uint64_t value[kWords];
    uint32_t present;  // bit i: word i is there
    uint32_t unused;
};

void remember_stack(char** envp);  // first thing in main: the vector lies behind the environment
struct vector stack_vector(void);  // as the program was started with
struct vector file_vector(void);   // /proc/self/auxv
int call_vector(struct vector* vector);  // prctl(PR_GET_AUXV); 0, or errno
struct words words_of(const struct vector* vector);
uint64_t types_of(const struct vector* vector);      // a number for the types of its entries, in order
const char* not_own(const struct vector* vector);    // an entry that is not this program's own; NULL: all are
bool edit_vector(struct vector* vector, const char* edit);  // see the edits there; false: no such edit

enum method { BY_MAP, BY_AUXV };  // PR_SET_MM_MAP, PR_SET_MM_AUXV
int replace_vector(const struct vector* vector, enum method method);  // 0, or errno
// Calls of PR_SET_MM_MAP that the kernel must refuse, and one that it accepts and that brings no vector.
enum flaw { NO_FLAW, FLAW_BORDERS, FLAW_SIZE, FLAW_POINTER, NO_VECTOR };
int replace_by_map(const struct vector* vector, enum flaw flaw);

// --- steps.c

enum { kReportFd = 9 };
enum record_kind { RECORD_SHOWN = 1, RECORD_WRONG, RECORD_SKIP };

// What a process reports, in one write. The same layout in 32- and 64-bit programs.
struct record {
    uint32_t kind, word_size;
    struct words stack, file, call;
    uint32_t call_error, secure;  // errno of PR_GET_AUXV; AT_SECURE
    uint64_t types;
    char text[128];  // WRONG, SKIP: what happened; SHOWN: an entry that is not the program's own
};
_Static_assert(sizeof(struct record) == 8 + 3 * 40 + 8 + 8 + 128, "32- and 64-bit programs must agree");

struct steps {
    const char* self;    // this program
    const char* other;   // the same of the other word size; "-": there is none
    const char* folder;  // with a `setuid` copy of self, and room for scripts
    enum method method;
    int count;
    char** step;
};

_Noreturn void run_steps(const struct steps* steps);
_Noreturn void run_steps_of_arguments(char** arguments);  // what follows "--steps"

// --- cases.c

enum channel { STACK, FILE_AUXV, GET_AUXV };

struct scenario {
    const char* rule;
    const char* name;
    const char* steps;     // separated by spaces
    const char* expected;  // one code for each `show`: see expected_words(); "A|B": either
    int repeat;            // 0: once
    enum channel channel;  // where it must be seen
};
extern const struct scenario kScenarios[];
extern const size_t kScenarioCount;

// What a program of the word size must be shown. `own` is what an unmarked one is shown.
struct words expected_words(char code, const struct words* own);
