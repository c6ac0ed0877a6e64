// Threads that hand a token round, each with its own string work; new ones after the arrival.
#include <pthread.h>
#include <sched.h>

#include "string_work.h"

enum { kThreads = 4 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static unsigned turn;
static unsigned long handed[kThreads];
static int finished;
static _Thread_local uint32_t own_state;

static void* hand_on(void* argument) {
    const unsigned self = (unsigned)(uintptr_t)argument;
    own_state = 100 + self;
    for (;;) {
        string_work(&own_state);
        pthread_mutex_lock(&lock);
        while (turn != self && !finished) pthread_cond_wait(&moved, &lock);
        const int over = finished;
        if (!over) {
            ++handed[self];
            turn = (self + 1) % kThreads;
        }
        pthread_cond_broadcast(&moved);
        pthread_mutex_unlock(&lock);
        if (over) return argument;
    }
}

static void* once(void* argument) {
    own_state = (uint32_t)(uintptr_t)argument;
    for (int i = 0; i < 20; ++i) string_work(&own_state);
    return argument;
}

static void work(uint32_t* state) {
    string_work(state);
    sched_yield();
}

static void new_threads(void) {
    pthread_t threads[kThreads];
    GUARD(guard);
    for (uintptr_t i = 0; i < kThreads; ++i) CHECK(pthread_create(&threads[i], NULL, once, (void*)(i + 1)) == 0);
    for (uintptr_t i = 0; i < kThreads; ++i) {
        void* result = NULL;
        CHECK(pthread_join(threads[i], &result) == 0 && result == (void*)(i + 1));
    }
    check_guard(guard);
}

static pthread_t started[kThreads];

static void last(void) {
    new_threads();
    pthread_mutex_lock(&lock);
    const unsigned long before = handed[0];
    while (handed[0] < before + 3) pthread_cond_wait(&moved, &lock);
    finished = 1;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    for (uintptr_t i = 0; i < kThreads; ++i) CHECK(pthread_join(started[i], NULL) == 0);
    for (unsigned i = 1; i < kThreads; ++i) CHECK(handed[i] == handed[0] || handed[i] + 1 == handed[0]);
}

int main(void) {
    for (uintptr_t i = 0; i < kThreads; ++i) CHECK(pthread_create(&started[i], NULL, hand_on, (void*)i) == 0);
    return travel(work, last);
}
