// What a started process does. Its arguments are the steps that are left; a step that executes hands the rest on. So
// one line of cases.c is one story over many programs, and nothing but the arguments and one pipe connects them.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof.h"

enum { kHead = 6, kMostSteps = 40, kNobody = 65534, kLargeEnvironment = 3000, kCapSysResource = 24 };

static struct steps g_steps;

static void report(enum record_kind kind, const char* format, ...) {
    struct record record;
    memset(&record, 0, sizeof record);
    record.kind = kind;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(record.text, sizeof record.text, format, arguments);
    va_end(arguments);
    if (write(kReportFd, &record, sizeof record) != sizeof record) _exit(3);
}

#define GIVE_UP(...)                    \
    do {                                \
        report(RECORD_WRONG, __VA_ARGS__); \
        _exit(2);                       \
    } while (0)

static void show(bool must_be_secure) {
    struct record record;
    memset(&record, 0, sizeof record);
    const struct vector stack = stack_vector();
    const struct vector file = file_vector();
    struct vector call;
    record.kind = RECORD_SHOWN;
    record.word_size = sizeof(long);
    record.stack = words_of(&stack);
    record.file = words_of(&file);
    record.call_error = (uint32_t)call_vector(&call);
    if (record.call_error == 0) record.call = words_of(&call);
    record.types = types_of(&stack);
    for (unsigned i = 0; i < stack.count; ++i) {
        if (stack.entries[i].type == AT_SECURE) record.secure = stack.entries[i].value != 0;
    }
    const char* foreign = not_own(&stack);
    if (foreign) snprintf(record.text, sizeof record.text, "%s", foreign);
    if (must_be_secure && !record.secure) {
        report(RECORD_SKIP, "setuid programs have no privilege here (nosuid, no_new_privs, or a tracer without privilege)");
        _exit(0);
    }
    if (write(kReportFd, &record, sizeof record) != sizeof record) _exit(3);
}

// --- executing

// {program, "--steps", self, other, folder, method, steps from `from` on}
static char** arguments_from(const char* program, const char* self, const char* other, int from) {
    static char* arguments[kHead + kMostSteps + 1];
    int count = 0;
    const char* const head[kHead] = {program, "--steps", self, other, g_steps.folder,
                                     g_steps.method == BY_MAP ? "map" : "auxv"};
    for (int i = 0; i < kHead; ++i) arguments[count++] = (char*)head[i];
    for (int i = from; i < g_steps.count; ++i) arguments[count++] = g_steps.step[i];
    arguments[count] = NULL;
    return arguments;
}

static char* g_small_environment[] = {(char*)"PROOF=1", NULL};

static _Noreturn void execute(const char* program, int from) {
    execve(program, arguments_from(program, g_steps.self, g_steps.other, from), g_small_environment);
    GIVE_UP("cannot execute %.60s: %s", program, strerror(errno));
}

static _Noreturn void execute_other(int from) {
    if (strcmp(g_steps.other, "-") == 0) {
        report(RECORD_SKIP, "no program of the other word size was given (--other)");
        _exit(0);
    }
    execve(g_steps.other, arguments_from(g_steps.other, g_steps.other, g_steps.self, from), g_small_environment);
    report(RECORD_SKIP, "programs of the other word size cannot run here: %s", strerror(errno));
    _exit(0);
}

static _Noreturn void execute_descriptor(int from) {
    const int fd = open(g_steps.self, O_RDONLY | O_CLOEXEC);
    syscall(SYS_execveat, fd, "", arguments_from(g_steps.self, g_steps.self, g_steps.other, from), g_small_environment,
            AT_EMPTY_PATH);
    GIVE_UP("execveat: %s", strerror(errno));
}

static _Noreturn void execute_with_large_environment(int from) {
    static char text[kLargeEnvironment][32];
    static char* environment[kLargeEnvironment + 1];
    for (int i = 0; i < kLargeEnvironment; ++i) {
        snprintf(text[i], sizeof text[i], "PROOF_%d=%d", i, i);
        environment[i] = text[i];
    }
    execve(g_steps.self, arguments_from(g_steps.self, g_steps.self, g_steps.other, from), environment);
    GIVE_UP("cannot execute with a large environment: %s", strerror(errno));
}

static void write_script(const char* path, const char* interpreter, const char* argument) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (fd < 0) GIVE_UP("cannot write %.60s: %s", path, strerror(errno));
    dprintf(fd, "#!%s %s\n", interpreter, argument);
    close(fd);
}

// The program reads "--script FILE ... --steps ..." as its steps (run_steps_of_arguments).
static _Noreturn void execute_script(int from, bool twice) {
    static char inner[512], outer[512];
    snprintf(inner, sizeof inner, "%s/script.%d", g_steps.folder, (int)getpid());
    snprintf(outer, sizeof outer, "%s/outer.%d", g_steps.folder, (int)getpid());
    write_script(inner, g_steps.self, "--script");
    write_script(outer, inner, "");
    execute(twice ? outer : inner, from);
}

static void fail_to_execute(void) {
    static char empty[512];
    char* arguments[] = {(char*)"none", NULL};
    snprintf(empty, sizeof empty, "%s/not-a-program.%d", g_steps.folder, (int)getpid());
    const int fd = open(empty, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, "\177ELF, almost", 12) != 12) GIVE_UP("cannot write %.60s: %s", empty, strerror(errno));
    close(fd);
    const struct vector before = file_vector();
    execve("/proof/is/not/there", arguments, g_small_environment);
    if (errno != ENOENT) GIVE_UP("exec of a missing file: %s", strerror(errno));
    execve("/", arguments, g_small_environment);
    if (errno != EACCES) GIVE_UP("exec of a folder: %s", strerror(errno));
    execve(empty, arguments, g_small_environment);
    if (errno != ENOEXEC) GIVE_UP("exec of no program: %s", strerror(errno));
    const struct vector after = file_vector();
    if (memcmp(&before, &after, sizeof before) != 0) GIVE_UP("a failed exec changed the saved vector");
}

// As root with a `setuid` copy of the program in the folder, start that as somebody who is not root.
static _Noreturn void execute_setuid(int from) {
    char path[512];
    snprintf(path, sizeof path, "%s/setuid", g_steps.folder);
    if (geteuid() != 0) {
        report(RECORD_SKIP, "needs root, to make a setuid program");
        _exit(0);
    }
    if (setgroups(0, NULL) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 || setresuid(kNobody, kNobody, kNobody) != 0) {
        GIVE_UP("cannot become an ordinary user: %s", strerror(errno));
    }
    execute(path, from);
}

// --- marking

static struct vector edited(const char* edit) {
    struct vector vector = stack_vector();
    if (!edit_vector(&vector, edit)) GIVE_UP("no such edit: %.40s", edit);
    return vector;
}

static void replace_or_end(const struct vector* vector) {
    const int error = replace_vector(vector, g_steps.method);
    if (error == EPERM && g_steps.method == BY_AUXV) {
        report(RECORD_SKIP, "PR_SET_MM_AUXV: %s: it needs CAP_SYS_RESOURCE", strerror(error));
        _exit(0);
    }
    if (error != 0) GIVE_UP("%s: %s", g_steps.method == BY_MAP ? "PR_SET_MM_MAP" : "PR_SET_MM_AUXV", strerror(error));
}

static void mark(const char* edit) {
    const struct vector vector = edited(edit);
    replace_or_end(&vector);
}

// As tools/testing/selftests of the series: from what PR_GET_AUXV gives (Linux 6.4), and the whole of it.
static void mark_as_series(void) {
    struct vector vector;
    if (call_vector(&vector) != 0) vector = file_vector();
    if (!edit_vector(&vector, "target")) GIVE_UP("no vector");
    replace_or_end(&vector);
}

static void must_refuse(int error, const char* what) {
    if (error == 0) GIVE_UP("%s was not refused", what);
}

// Without CAP_SYS_RESOURCE, given up for it where it is there, PR_SET_MM_AUXV is refused.
static void refused_for_capability(const char* edit) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) GIVE_UP("capget: %s", strerror(errno));
    data[0].effective &= ~(1U << kCapSysResource);
    if (syscall(SYS_capset, &header, data) != 0) GIVE_UP("capset: %s", strerror(errno));
    const struct vector vector = edited(edit);
    const int error = replace_vector(&vector, BY_AUXV);
    if (error != EPERM) GIVE_UP("PR_SET_MM_AUXV without CAP_SYS_RESOURCE: %s", strerror(error));
}

// --- children and threads

static void wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, __WALL) < 0) {
        if (errno != EINTR) GIVE_UP("waitpid: %s", strerror(errno));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) _exit(4);  // it has reported why
}

static pid_t forked(void) {
    const pid_t child = fork();
    if (child < 0) GIVE_UP("fork: %s", strerror(errno));
    return child;
}

static void fork_and_go_on_in_child(void) {
    const pid_t child = forked();
    if (child == 0) return;
    wait_for(child);
    _exit(0);
}

static void fork_then_mark(const char* edit) {
    int ends[2];
    char byte = 0;
    if (pipe(ends) != 0) GIVE_UP("pipe: %s", strerror(errno));
    const pid_t child = forked();
    if (child == 0) {
        if (read(ends[0], &byte, 1) != 1) _exit(0);  // the parent reports why
        return;
    }
    mark(edit);
    if (write(ends[1], &byte, 1) != 1) _exit(3);
    wait_for(child);
    _exit(0);
}

static _Noreturn void vfork_and_execute(int from) {
    const pid_t child = vfork();
    if (child == 0) execute(g_steps.self, from);
    if (child < 0) GIVE_UP("vfork: %s", strerror(errno));
    wait_for(child);
    _exit(0);
}

static void vfork_marks(const struct vector* vector) {
    const pid_t child = vfork();
    if (child == 0) {
        replace_or_end(vector);
        _exit(0);
    }
    if (child < 0) GIVE_UP("vfork: %s", strerror(errno));
    wait_for(child);
}

static int g_from;
static const char* g_edit;

static int marking_clone(void* unused) {
    (void)unused;
    mark(g_edit);
    return 0;
}

static int executing_clone(void* unused) {
    (void)unused;
    execute(g_steps.self, g_from);
}

// A process that shares the memory and nothing else: neither a thread nor vfork.
static void clone_with_memory(int (*body)(void*)) {
    enum { kStack = 256 * 1024 };
    char* stack = malloc(kStack);
    const pid_t child = clone(body, stack + kStack, CLONE_VM | SIGCHLD, NULL);
    if (child < 0) GIVE_UP("clone: %s", strerror(errno));
    wait_for(child);
}

static void* marking_thread(void* unused) {
    mark(g_edit);
    return unused;
}

static void* executing_thread(void* marks_first) {
    if (marks_first) mark(g_edit);
    execute(g_steps.self, g_from);
}

static pthread_t start_thread(void* (*body)(void*), void* argument) {
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, body, argument);
    if (error != 0) GIVE_UP("pthread_create: %s", strerror(error));
    return thread;
}

static _Noreturn void execute_in_thread(int from, const char* edit) {
    g_from = from;
    g_edit = edit;
    start_thread(executing_thread, (void*)edit);
    for (;;) pause();
}

static atomic_uint g_marks_made;

// Marks for ever, in turn with two vectors that differ in more than one word where the machine has more.
static void* racing_thread(void* unused) {
    const struct vector vectors[2] = {edited("all"), edited("low")};
    for (;;) {
        replace_or_end(&vectors[atomic_fetch_add(&g_marks_made, 1) % 2]);
    }
    return unused;
}

static void start_race(void) {
    start_thread(racing_thread, NULL);
    // The exec that follows comes at another moment of the race each time.
    const unsigned until = 2 + (unsigned)getpid() % 5;
    while (atomic_load(&g_marks_made) < until) sched_yield();
}

// --- the steps

static bool has_edit(const char* step, const char* name, const char** edit) {
    const size_t length = strlen(name);
    if (strncmp(step, name, length) != 0 || step[length] != '=') return false;
    *edit = step + length + 1;
    return true;
}

static void run_step(const char* step, int next) {
    const char* edit = NULL;
    if (strcmp(step, "show") == 0) return show(false);
    if (strcmp(step, "show-secure") == 0) return show(true);
    if (strcmp(step, "exec") == 0) execute(g_steps.self, next);
    if (strcmp(step, "other") == 0) execute_other(next);
    if (strcmp(step, "fexec") == 0) execute_descriptor(next);
    if (strcmp(step, "exec-large") == 0) execute_with_large_environment(next);
    if (strcmp(step, "script") == 0) execute_script(next, false);
    if (strcmp(step, "script-of-script") == 0) execute_script(next, true);
    if (strcmp(step, "setuid") == 0) execute_setuid(next);
    if (strcmp(step, "thread-exec") == 0) execute_in_thread(next, NULL);
    if (strcmp(step, "vfork") == 0) vfork_and_execute(next);
    if (has_edit(step, "thread-marks-execs", &edit)) execute_in_thread(next, edit);
    if (strcmp(step, "clone-exec") == 0) {
        g_from = next;
        clone_with_memory(executing_clone);
        _exit(0);
    }
    if (strcmp(step, "failed-exec") == 0) return fail_to_execute();
    if (strcmp(step, "fork") == 0) return fork_and_go_on_in_child();
    if (strcmp(step, "race") == 0) return start_race();
    if (strcmp(step, "series") == 0) return mark_as_series();
    if (has_edit(step, "mark", &edit)) return mark(edit);
    if (has_edit(step, "fork-then-mark", &edit)) return fork_then_mark(edit);
    if (has_edit(step, "fork-marks", &edit)) {
        const pid_t child = forked();
        if (child != 0) return wait_for(child);
        mark(edit);
        _exit(0);
    }
    if (has_edit(step, "vfork-marks", &edit)) {
        const struct vector vector = edited(edit);
        return vfork_marks(&vector);
    }
    if (has_edit(step, "clone-marks", &edit)) {
        g_edit = edit;
        return clone_with_memory(marking_clone);
    }
    if (has_edit(step, "thread-marks", &edit)) {
        g_edit = edit;
        pthread_join(start_thread(marking_thread, NULL), NULL);
        return;
    }
    if (has_edit(step, "refused-auxv", &edit)) return refused_for_capability(edit);
    const struct {
        const char* name;
        enum flaw flaw;
    } refusals[] = {{"refused-borders", FLAW_BORDERS}, {"refused-size", FLAW_SIZE}, {"refused-pointer", FLAW_POINTER}};
    for (unsigned i = 0; i < sizeof refusals / sizeof refusals[0]; ++i) {
        if (!has_edit(step, refusals[i].name, &edit)) continue;
        const struct vector vector = edited(edit);
        return must_refuse(replace_by_map(&vector, refusals[i].flaw), step);
    }
    if (strcmp(step, "no-vector") == 0) {
        const struct vector vector = stack_vector();
        const int error = replace_by_map(&vector, NO_VECTOR);
        if (error != 0) GIVE_UP("PR_SET_MM_MAP without a vector: %s", strerror(error));
        return;
    }
    if (strcmp(step, "become-root") == 0) {
        if (setresuid(0, 0, 0) != 0 || setresgid(0, 0, 0) != 0) GIVE_UP("become-root: %s", strerror(errno));
        return;
    }
    GIVE_UP("no such step: %.60s", step);
}

_Noreturn void run_steps(const struct steps* steps) {
    g_steps = *steps;
    for (int i = 0; i < g_steps.count; ++i) run_step(g_steps.step[i], i + 1);
    _exit(0);
}

_Noreturn void run_steps_of_arguments(char** arguments) {
    struct steps steps = {.count = 0};
    int have = 0;
    while (have < 4 && arguments[have]) ++have;
    if (have < 4) _exit(5);
    steps.self = arguments[0];
    steps.other = arguments[1];
    steps.folder = arguments[2];
    steps.method = strcmp(arguments[3], "map") == 0 ? BY_MAP : BY_AUXV;
    steps.step = arguments + 4;
    while (steps.step[steps.count] && steps.count < kMostSteps) ++steps.count;
    run_steps(&steps);
}
