// N threads, started and joined one after the other.
#include <pthread.h>
#include <stdlib.h>

static void* body(void* argument) { return argument; }

int main(int argc, char** argv) {
    for (long left = argc > 1 ? atol(argv[1]) : 1000; left > 0; --left) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, body, NULL) != 0 || pthread_join(thread, NULL) != 0) return 1;
    }
    return 0;
}
