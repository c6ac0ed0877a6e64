// N signals that a process sends to itself, each handled.
#include <signal.h>
#include <stdlib.h>

static volatile sig_atomic_t handled;
static void on_signal(int number) { handled += number == SIGUSR1; }

int main(int argc, char** argv) {
    const long count = argc > 1 ? atol(argv[1]) : 10000;
    signal(SIGUSR1, on_signal);
    for (long left = count; left > 0; --left) raise(SIGUSR1);
    return handled != count;
}
