// Supervision, done once as `run` does it: a tracer (in a child of its own, so that the caller never becomes one) seizes a process,
// and sees it fork, exec, and exit. Also: registers and memory can be read and written.
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "engine/probe/tiny_program.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine::probe {

namespace {

enum class Step : int { none, fork, seize, interrupt, registers, memory, fork_event, exec_event, exit_event, done };

std::string_view describe(Step step) {
    switch (step) {
        case Step::none: return "nothing was tried";
        case Step::fork: return "no process could be made";
        case Step::seize: return "PTRACE_SEIZE with the options that run needs";
        case Step::interrupt: return "PTRACE_INTERRUPT";
        case Step::registers: return "reading and writing registers";
        case Step::memory: return "reading and writing memory";
        case Step::fork_event: return "the stop at fork";
        case Step::exec_event: return "the stop at exec";
        case Step::exit_event: return "the stop at exit";
        case Step::done: return "everything";
    }
    return "";
}

struct Traced {
    Step failed_at = Step::none;
    int error = 0;  // errno; 0: an unexpected stop
};

volatile int mark = 1;  // written by the tracer into the tracee's copy

int wait_for(pid_t pid, int& status) {
    pid_t got;
    do {
        got = ::waitpid(pid, &status, __WALL);
    } while (got < 0 && errno == EINTR);
    return got == pid ? 0 : -1;
}

bool stopped_by_event(int status, int event) {
    return WIFSTOPPED(status) && status >> 16 == event;
}

bool resume(pid_t pid) { return ::ptrace(PTRACE_CONT, pid, nullptr, nullptr) == 0; }

// What the tracee does once it runs on: one child, then a new program.
[[noreturn]] void tracee(int program_fd, int go_fd) {
    char byte = 0;
    while (::read(go_fd, &byte, 1) < 0 && errno == EINTR) {
    }
    if (mark == 1) ::_exit(1);  // the tracer's write did not arrive
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (program_fd >= 0) {
        const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) ::dup2(null, STDOUT_FILENO);
        (void)execute(program_fd);
    }
    ::_exit(1);
}

bool registers_work(pid_t pid) {
    std::array<unsigned long, 64> registers{};
    iovec area{registers.data(), sizeof registers};
    return ::ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &area) == 0 &&
           ::ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &area) == 0;
}

bool memory_works(pid_t pid) {
    int two = 2;
    iovec here{&two, sizeof two};
    iovec there{const_cast<int*>(&mark), sizeof two};
    if (::process_vm_writev(pid, &here, 1, &there, 1, 0) != static_cast<ssize_t>(sizeof two)) return false;
    int seen = 0;
    iovec back{&seen, sizeof seen};
    return ::process_vm_readv(pid, &back, 1, &there, 1, 0) == static_cast<ssize_t>(sizeof seen) && seen == 2;
}

// Goes through the steps; gives back the first that failed.
Step trace(pid_t pid, int go_fd, bool has_program) {
    constexpr unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                      PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT |
                                      PTRACE_O_EXITKILL;
    int status = 0;
    if (::ptrace(PTRACE_SEIZE, pid, nullptr, options) != 0) return Step::seize;
    if (::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0 || wait_for(pid, status) != 0 ||
        !stopped_by_event(status, PTRACE_EVENT_STOP)) {
        return Step::interrupt;
    }
    if (!registers_work(pid)) return Step::registers;
    if (!memory_works(pid)) return Step::memory;
    if (!resume(pid) || ::write(go_fd, "g", 1) != 1 || wait_for(pid, status) != 0 ||
        !stopped_by_event(status, PTRACE_EVENT_FORK)) {
        return Step::fork_event;
    }
    unsigned long message = 0;
    if (::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &message) != 0) return Step::fork_event;
    const pid_t child = static_cast<pid_t>(message);
    if (wait_for(child, status) != 0 || !stopped_by_event(status, PTRACE_EVENT_STOP) || !resume(child) ||
        wait_for(child, status) != 0 || !stopped_by_event(status, PTRACE_EVENT_EXIT) || !resume(child) ||
        wait_for(child, status) != 0 || !WIFEXITED(status) || !resume(pid)) {
        return Step::fork_event;
    }
    // The tracee's SIGCHLD may come first; it is passed on.
    const int wanted = has_program ? PTRACE_EVENT_EXEC : PTRACE_EVENT_EXIT;
    for (;;) {
        if (wait_for(pid, status) != 0 || !WIFSTOPPED(status)) return Step::exec_event;
        if (stopped_by_event(status, wanted)) break;
        if (status >> 16 != 0) return Step::exec_event;
        if (::ptrace(PTRACE_CONT, pid, nullptr, WSTOPSIG(status)) != 0) return Step::exec_event;
    }
    if (!has_program) return Step::done;
    if (!resume(pid) || wait_for(pid, status) != 0 || !stopped_by_event(status, PTRACE_EVENT_EXIT) || !resume(pid) ||
        wait_for(pid, status) != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != kTinyExitStatus) {
        return Step::exit_event;
    }
    return Step::done;
}

}  // namespace

std::string explain_yama(const std::string& root) {
    const auto scope = read_small_file(root, "/proc/sys/kernel/yama/ptrace_scope");
    if (!scope) return {};
    if (*scope == "0") return "kernel.yama.ptrace_scope is 0: no restriction";
    if (*scope == "1") return "kernel.yama.ptrace_scope is 1: a process may trace what it started; enough for run";
    if (*scope == "2") {
        return "kernel.yama.ptrace_scope is 2: only with CAP_SYS_PTRACE; run cpulevel as root, or set it to 1 (sysctl)";
    }
    if (*scope == "3") {
        return "kernel.yama.ptrace_scope is 3: nobody may trace, until the next boot with another setting";
    }
    return "kernel.yama.ptrace_scope is " + printable(*scope);
}

namespace {

// Why ptrace was refused, as far as that can be told from outside.
std::string explain_refusal(const std::string& root, const std::string& yama) {
    const std::string status = read_small_file(root, "/proc/self/status").value_or("");
    if (const auto tracer = printable(status_field(status, "TracerPid"), 20); !tracer.empty() && tracer != "0") {
        return "this process is itself traced, by process " + tracer +
               " (strace, gdb, another cpulevel), and with it all that it starts; start it outside";
    }
    if (yama.find(" is 2") != std::string::npos || yama.find(" is 3") != std::string::npos) return yama;
    return "something refuses it: a container's seccomp filter (Docker: --cap-add SYS_PTRACE or --security-opt "
           "seccomp=...) or SELinux (setsebool deny_ptrace off)";
}

}  // namespace

Capability ptrace(const std::string& root) {
    Capability result{.id = "ptrace", .title = "ptrace", .need = Need::start,
                      .gives = "supervises a program and everything it starts", .missing = {}, .detail = {}};
    std::optional<Fd> program;
#if defined(__x86_64__)
    if (auto file = executable_memory_file(stack_printer_x86_64())) program = std::move(*file);
#elif defined(__aarch64__)
    if (auto file = executable_memory_file(stack_printer_aarch64())) program = std::move(*file);
#endif
    const int program_fd = program ? program->get() : -1;
    const auto answer = ask_child<Traced>([program_fd](Traced& traced) {
        std::array<int, 2> go{-1, -1};
        traced.failed_at = Step::fork;
        if (::pipe2(go.data(), O_CLOEXEC) != 0) {
            traced.error = errno;
            return;
        }
        const pid_t parent = ::getpid();
        const pid_t pid = ::fork();
        if (pid < 0) {
            traced.error = errno;
            return;
        }
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(1);
            tracee(program_fd, go[0]);
        }
        errno = 0;
        traced.failed_at = trace(pid, go[1], program_fd >= 0);
        traced.error = errno;
        if (traced.failed_at == Step::done && program_fd >= 0) return;
        ::kill(pid, SIGKILL);
        int status = 0;
        while (wait_for(pid, status) == 0 && WIFSTOPPED(status)) resume(pid);  // also a killed one stops at its exit
    });
    const std::string yama = explain_yama(root);
    if (!answer.value) {
        result.missing = "could not be tried; a seccomp filter that kills at ptrace would look like this";
        result.detail = answer.end.describe();
    } else if (answer.value->failed_at != Step::done) {
        result.detail = fmt::format("failed: {}{}", describe(answer.value->failed_at),
                                    answer.value->error != 0 ? ", " + errno_text(answer.value->error) : "");
        result.missing = answer.value->error == EPERM ? explain_refusal(root, yama)
                                                      : "report this: it is not a known restriction";
    } else {
        result.works = Works::yes;
        result.detail = "seized a child, changed its memory, and saw it fork, exec and exit";
        if (program_fd < 0) result.detail = "seized a child, changed its memory, and saw it fork and exit";
    }
    if (!yama.empty() && result.missing != yama) result.detail += "; " + yama;
    return result;
}

Capability seccomp() {
    Capability result{.id = "seccomp", .title = "seccomp filters",
                      .gives = "a supervisor can be told of one system call without a stop at every other", .missing = {}, .detail = {}};
    struct Tried {
        int error = 0;
        long filtered = 0;
        int filtered_error = 0;
        long other = 0;
    };
    const auto answer = ask_child<Tried>([](Tried& tried) {
        // Without a tracer SECCOMP_RET_TRACE makes the call fail with ENOSYS, so its effect can be seen alone.
        std::array<sock_filter, 4> filter{{
            {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getpgid},
            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE},
            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
        }};
        sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
            tried.error = errno;
            return;
        }
        tried.filtered = ::syscall(SYS_getpgid, 0);
        tried.filtered_error = errno;
        tried.other = ::syscall(SYS_getpid);
    });
    if (!answer.value) {
        result.missing = "could not be tried";
        result.detail = answer.end.describe();
    } else if (answer.value->error != 0) {
        result.missing = "a kernel with CONFIG_SECCOMP_FILTER";
        result.detail = "gives " + errno_text(answer.value->error);
    } else if (answer.value->filtered != -1 || answer.value->filtered_error != ENOSYS || answer.value->other <= 0) {
        result.missing = "the filter was accepted and has no effect";
    } else {
        result.works = Works::yes;
        result.detail = "a filter in a child stopped one system call and let another through";
    }
    return result;
}

}  // namespace cpulevel::engine::probe
