// guardian SECONDS PIDFILE ARRIVED COMMAND...
// Runs COMMAND (a restore that leaves a process whose pid it writes to PIDFILE), makes the file ARRIVED, and says what became of
// the process, in a line: "exit N", "signal N", "late" (it was killed after SECONDS), or "refused N" where the COMMAND failed.
// Restored processes come to the nearest subreaper when criu ends: that is us.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int wait_for(pid_t pid, int seconds, int* status) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const time_t end = now.tv_sec + seconds;
    while (now.tv_sec < end) {
        const pid_t gone = waitpid(pid, status, WNOHANG);
        if (gone == pid) return 1;
        if (gone < 0) return 0;
        const struct timespec rest = {.tv_sec = end - now.tv_sec};
        sigtimedwait(&child, NULL, &rest);
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    return 0;
}

int main(int count, char** words) {
    if (count < 5) return 2;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const int seconds = atoi(words[1]);
    int status = 0;
    const pid_t command = fork();
    if (command == 0) {
        sigprocmask(SIG_UNBLOCK, &child, NULL);
        execvp(words[4], words + 4);
        _exit(127);
    }
    if (!wait_for(command, seconds, &status)) {
        // What it has restored half-way ends with the machine, or with the namespace of pids, that this stage has for itself.
        kill(command, SIGKILL);
        printf("refused late\n");
        return 0;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        printf("refused %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        return 0;
    }
    close(open(words[3], O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    FILE* file = fopen(words[2], "r");
    int pid = 0;
    if (file == NULL || fscanf(file, "%d", &pid) != 1 || pid <= 1) {
        printf("refused no pid\n");
        return 0;
    }
    if (!wait_for(pid, seconds, &status)) {
        kill(pid, SIGKILL);
        printf("late\n");
    } else if (WIFSIGNALED(status)) {
        printf("signal %d\n", WTERMSIG(status));
    } else {
        printf("exit %d\n", WEXITSTATUS(status));
    }
    return 0;
}
