// Threads that wait in system calls which a stray signal or stop would interrupt (EINTR), while another thread of
// the process executes CPUID, forks, and starts programs and threads. None of them may notice.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

static int pipe_ends[2];
static sem_t semaphore;

static void* in_read(void* unused) {
    (void)unused;
    char byte;
    const ssize_t n = read(pipe_ends[0], &byte, 1);
    MUST(n == 0, "read: %zd", n);
    return NULL;
}

static void* in_poll(void* unused) {
    (void)unused;
    struct pollfd wanted = {.fd = pipe_ends[0], .events = POLLIN};
    const int n = poll(&wanted, 1, -1);
    MUST(n == 1, "poll: %d", n);
    return NULL;
}

static void* in_epoll(void* unused) {
    (void)unused;
    const int fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    MUST(epoll_ctl(fd, EPOLL_CTL_ADD, pipe_ends[0], &event) == 0, "epoll_ctl");
    const int n = epoll_wait(fd, &event, 1, -1);
    MUST(n == 1, "epoll_wait: %d", n);
    return NULL;
}

static void* in_semaphore(void* unused) {
    (void)unused;
    MUST(sem_wait(&semaphore) == 0, "sem_wait");
    return NULL;
}

static void* in_sleep(void* unused) {
    (void)unused;
    const struct timespec length = {0, 300 * 1000 * 1000};
    MUST(clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL) == 0, "clock_nanosleep");
    return NULL;
}

static void* nothing(void* unused) { return unused; }

int main(void) {
    void* (*const waits[])(void*) = {in_read, in_poll, in_epoll, in_semaphore, in_sleep};
    enum { kThreads = sizeof waits / sizeof waits[0] };
    pthread_t threads[kThreads], other;
    const uint64_t digest = cpuid_digest();
    MUST(pipe2(pipe_ends, 02000000) == 0 && sem_init(&semaphore, 0, 0) == 0, "pipe");
    for (int i = 0; i < kThreads; ++i) {
        MUST(pthread_create(&threads[i], NULL, waits[i], NULL) == 0, "pthread_create");
    }
    for (int i = 0; i < 100; ++i) {
        MUST(cpuid_digest() == digest, "CPUID answered otherwise");
        if (i % 5 == 0) {
            const pid_t child = fork();
            if (child == 0) {
                execl("/bin/true", "true", (char*)NULL);
                _exit(1);
            }
            int status = 0;
            MUST(waitpid(child, &status, 0) == child && status == 0, "true gave %d", status);
        }
        MUST(pthread_create(&other, NULL, nothing, NULL) == 0 && pthread_join(other, NULL) == 0, "a thread");
    }
    close(pipe_ends[1]);
    sem_post(&semaphore);
    for (int i = 0; i < kThreads; ++i) {
        MUST(pthread_join(threads[i], NULL) == 0, "pthread_join");
    }
    printf("uninterrupted=%d\n", kThreads);
    return 0;
}
