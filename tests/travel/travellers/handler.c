// A timer's signal handler on a stack of its own, as large as the auxiliary vector says that a frame may be, with guards
// around it: a frame larger than what was promised at the start would be written over them.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/auxv.h>
#include <sys/time.h>

#include "string_work.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
enum { kGuard = 4096, kOwn = 8192 };

static volatile sig_atomic_t ticks;
static uint32_t handler_state = 7;

static void on_tick(int signal) {
    (void)signal;
    string_work(&handler_state);
    ++ticks;
}

static unsigned char* area;
static size_t size;

static void guards_are_whole(void) {
    for (size_t i = 0; i < kGuard; ++i) CHECK(area[i] == 0xa5 && area[kGuard + size + i] == 0xa5);
}

static void work(uint32_t* state) {
    string_work(state);
    guards_are_whole();
}

static void more_ticks(void) {
    const sig_atomic_t before = ticks;
    uint32_t state = 1;
    while (ticks < before + 20) work(&state);
}

int main(void) {
    const size_t frame = getauxval(AT_MINSIGSTKSZ);
    size = (frame ? frame : 2048) + kOwn;
    area = malloc(size + 2 * kGuard);
    CHECK(area != NULL);
    memset(area, 0xa5, size + 2 * kGuard);
    const stack_t stack = {.ss_sp = area + kGuard, .ss_size = size};
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_ONSTACK | SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    const struct itimerval every = {{0, 10000}, {0, 10000}};
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    return travel(work, more_ticks);
}
