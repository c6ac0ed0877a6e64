// Starts PROGRAM by one of the roads by which Linux programs start others, and passes its status on.
//   spawn ROAD PROGRAM ARGUMENT...
// ROAD "list" prints all of them.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common.h"

extern char** environ;

static char** command;  // PROGRAM ARGUMENT... NULL

static int pass_on(pid_t child) {
    int status = 0;
    pid_t waited;
    do {
        waited = waitpid(child, &status, __WALL);
    } while (waited < 0 && errno == EINTR);
    MUST(waited == child, "waitpid(%d) gave %d", (int)child, (int)waited);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void exec_now(void) {
    execv(command[0], command);
    _exit(127);
}

static int by_exec(void) {
    exec_now();
    return 0;
}

static int by_fork(void) {
    const pid_t child = fork();
    MUST(child >= 0, "fork");
    if (child == 0) {
        cpuid(0, 0);  // in the copied image
        exec_now();
    }
    return pass_on(child);
}

static int by_vfork(void) {
    const pid_t child = vfork();
    MUST(child >= 0, "vfork");
    if (child == 0) {
        cpuid(0, 0);  // in the parent's memory, while the parent waits
        exec_now();
    }
    return pass_on(child);
}

static int by_posix_spawn(void) {
    pid_t child = 0;
    errno = posix_spawn(&child, command[0], NULL, NULL, command, environ);
    MUST(errno == 0, "posix_spawn");
    return pass_on(child);
}

static pid_t clone3(uint64_t flags, uint64_t exit_signal) {
    struct clone_args arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.flags = flags;
    arguments.exit_signal = exit_signal;
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static int by_clone3(void) {
    const pid_t child = clone3(0, SIGCHLD);
    MUST(child >= 0, "clone3");
    if (child == 0) {
        exec_now();
    }
    return pass_on(child);
}

// A child whose death sends no SIGCHLD: the kernel reports it to a tracer as "clone", not "fork".
static int by_clone_silent(void) {
    const pid_t child = clone3(0, 0);
    MUST(child >= 0, "clone3");
    if (child == 0) {
        exec_now();
    }
    return pass_on(child);
}

// CLONE_UNTRACED: "a tracing process cannot force CLONE_PTRACE on this child process".
static int by_clone_untraced(void) {
    const pid_t child = (pid_t)syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
    MUST(child >= 0, "clone");
    if (child == 0) {
        exec_now();
    }
    return pass_on(child);
}

static int run_on_own_stack(void* unused) {
    (void)unused;
    exec_now();
    return 0;
}

// CLONE_VM without CLONE_THREAD: another process in the same memory.
static int by_clone_vm(void) {
    enum { kStack = 256 * 1024 };
    char* stack = mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    MUST(stack != MAP_FAILED, "mmap");
    const pid_t child = clone(run_on_own_stack, stack + kStack, CLONE_VM | SIGCHLD, NULL);
    MUST(child >= 0, "clone");
    return pass_on(child);
}

// CLONE_PARENT: the child is our sibling. We make ourselves the grandparent, so that there is somebody to wait.
static int by_clone_parent(void) {
    int ends[2];
    MUST(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    const pid_t middle = fork();
    MUST(middle >= 0, "fork");
    if (middle == 0) {
        const pid_t sibling = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (sibling == 0) {
            exec_now();
        }
        _exit(write(ends[1], &sibling, sizeof sibling) == sizeof sibling ? 0 : 1);
    }
    pid_t sibling = -1;
    MUST(read(ends[0], &sibling, sizeof sibling) == sizeof sibling && sibling > 0, "no sibling");
    MUST(pass_on(middle) == 0, "the middle process failed");
    return pass_on(sibling);
}

// fork twice; the middle process ends first, and the orphan comes to us because we are a subreaper.
static int by_orphan(void) {
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, "PR_SET_CHILD_SUBREAPER");
    const pid_t grandparent = getpid();
    const pid_t middle = fork();
    MUST(middle >= 0, "fork");
    if (middle == 0) {
        if (fork() == 0) {
            while (getppid() != grandparent) {
                sched_yield();  // until the middle process is gone; there is no event to wait for in a child
            }
            exec_now();
        }
        _exit(0);
    }
    MUST(pass_on(middle) == 0, "the middle process failed");
    siginfo_t info = {0};
    MUST(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0, "the orphan did not come to us");
    return pass_on(info.si_pid);
}

static int by_system(void) {
    char line[4096] = "";
    for (char** word = command; *word != NULL; ++word) {
        strncat(line, "'", sizeof line - strlen(line) - 1);
        strncat(line, *word, sizeof line - strlen(line) - 1);
        strncat(line, "' ", sizeof line - strlen(line) - 1);
    }
    const int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : kWrong;
}

static void* exec_in_thread(void* unused) {
    (void)unused;
    cpuid(0, 0);
    exec_now();
    return NULL;
}

static void* spin_on_cpuid(void* unused) {
    (void)unused;
    for (;;) {
        cpuid(0, 0);
    }
    return NULL;
}

// exec by a thread that is not the leader, while the leader waits and other threads run CPUID: the kernel kills
// them all, and the executing thread takes over the leader's id.
static int by_thread_exec(void) {
    pthread_t threads[4];
    for (int i = 0; i < 3; ++i) {
        MUST(pthread_create(&threads[i], NULL, spin_on_cpuid, NULL) == 0, "pthread_create");
    }
    MUST(pthread_create(&threads[3], NULL, exec_in_thread, NULL) == 0, "pthread_create");
    pthread_join(threads[3], NULL);
    return kWrong;
}

static int thread_status;

static void* fork_in_thread(void* unused) {
    (void)unused;
    thread_status = by_fork();
    return NULL;
}

static int by_thread_fork(void) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, fork_in_thread, NULL) == 0, "pthread_create");
    MUST(pthread_join(thread, NULL) == 0, "pthread_join");
    return thread_status;
}

// exec while the leader thread has already ended (it is a zombie).
static int by_leader_gone_exec(void) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, exec_in_thread, NULL) == 0, "pthread_create");
    pthread_exit(NULL);
}

static int by_execveat(void) {
    char directory[4096];
    strncpy(directory, command[0], sizeof directory - 1);
    directory[sizeof directory - 1] = '\0';
    char* slash = strrchr(directory, '/');
    MUST(slash != NULL, "PROGRAM needs a folder");
    *slash = '\0';
    const int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    MUST(fd >= 0, "open %s", directory);
    syscall(SYS_execveat, fd, slash + 1, command, environ, 0);
    MUST(0, "execveat");
    return kWrong;
}

static int by_fexecve(void) {
    const int fd = open(command[0], O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0, "open %s", command[0]);
    syscall(SYS_execveat, fd, "", command, environ, AT_EMPTY_PATH);
    MUST(0, "execveat with AT_EMPTY_PATH");
    return kWrong;
}

static int by_proc_self_fd(void) {
    const int fd = open(command[0], O_RDONLY);
    MUST(fd >= 0, "open %s", command[0]);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    execv(path, command);
    MUST(0, "execv %s", path);
    return kWrong;
}

static int copy_to_memfd(void) {
    const int from = open(command[0], O_RDONLY | O_CLOEXEC);
    MUST(from >= 0, "open %s", command[0]);
    const int to = (int)syscall(SYS_memfd_create, "victim", MFD_CLOEXEC);
    MUST(to >= 0, "memfd_create");
    struct stat about;
    MUST(fstat(from, &about) == 0, "fstat");
    for (off_t left = about.st_size; left > 0;) {
        const ssize_t sent = sendfile(to, from, NULL, (size_t)left);
        MUST(sent > 0, "sendfile");
        left -= sent;
    }
    close(from);
    return to;
}

static int by_memfd(void) {
    const int fd = copy_to_memfd();
    syscall(SYS_execveat, fd, "", command, environ, AT_EMPTY_PATH);
    MUST(0, "execveat of a memfd");
    return kWrong;
}

// The file has no name any more when it runs.
static int by_deleted_file(void) {
    char path[] = "/tmp/cpulevel-victim-XXXXXX";
    const int to = mkstemp(path);
    MUST(to >= 0, "mkstemp");
    const int from = copy_to_memfd();
    struct stat about;
    MUST(fstat(from, &about) == 0 && lseek(from, 0, SEEK_SET) == 0, "fstat");
    for (off_t left = about.st_size; left > 0;) {
        const ssize_t sent = sendfile(to, from, NULL, (size_t)left);
        MUST(sent > 0, "sendfile");
        left -= sent;
    }
    MUST(fchmod(to, 0755) == 0, "fchmod");
    close(to);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && unlink(path) == 0, "open and unlink %s", path);
    syscall(SYS_execveat, fd, "", command, environ, AT_EMPTY_PATH);
    MUST(0, "execveat of a deleted file");
    return kWrong;
}

static const struct road {
    const char* name;
    int (*take)(void);
} kRoads[] = {
    {"exec", by_exec},
    {"fork", by_fork},
    {"vfork", by_vfork},
    {"posix_spawn", by_posix_spawn},
    {"clone3", by_clone3},
    {"clone_silent", by_clone_silent},
    {"clone_untraced", by_clone_untraced},
    {"clone_vm", by_clone_vm},
    {"clone_parent", by_clone_parent},
    {"orphan", by_orphan},
    {"system", by_system},
    {"thread_exec", by_thread_exec},
    {"thread_fork", by_thread_fork},
    {"leader_gone_exec", by_leader_gone_exec},
    {"execveat", by_execveat},
    {"fexecve", by_fexecve},
    {"proc_self_fd", by_proc_self_fd},
    {"memfd", by_memfd},
    {"deleted_file", by_deleted_file},
};

int main(int argc, char** argv) {
    MUST(argc >= 2, "usage: spawn ROAD PROGRAM ARGUMENT...");
    command = argv + 2;
    for (unsigned i = 0; i < sizeof kRoads / sizeof kRoads[0]; ++i) {
        if (strcmp(argv[1], "list") == 0) {
            puts(kRoads[i].name);
        } else if (strcmp(argv[1], kRoads[i].name) == 0) {
            MUST(argc >= 3, "no PROGRAM");
            return kRoads[i].take();
        }
    }
    MUST(strcmp(argv[1], "list") == 0, "no such road: %s", argv[1]);
    return 0;
}
