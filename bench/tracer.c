// The least that a tracer of a whole tree can do: it follows every fork, thread and exec, hands on every signal, and changes
// nothing. What it costs is the floor of anything that is built on ptrace.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_stop(int signal) { return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU; }

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: tracer PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int go[2];
    if (pipe(go) != 0) return 1;
    const pid_t program = fork();
    if (program == 0) {
        char byte;
        if (read(go[0], &byte, 1) != 1) return 1;
        close(go[0]);
        close(go[1]);
        execvp(argv[1], argv + 1);
        return 127;
    }
    const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, program, 0, options) != 0 || write(go[1], "", 1) != 1) return 1;
    int result = 1, status;
    for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (thread <= 0) continue;
        if (!WIFSTOPPED(status)) {
            if (thread == program) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        const int event = status >> 16, signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_STOP && is_stop(signal)) {
            ptrace(PTRACE_LISTEN, thread, 0, 0);
        } else {
            ptrace(PTRACE_CONT, thread, 0, (void*)(intptr_t)(event == 0 ? signal : 0));
        }
    }
    return result;
}
