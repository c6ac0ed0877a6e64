// CPUID faulting: after arch_prctl(ARCH_SET_CPUID, 0) a CPUID instruction raises SIGSEGV instead of answering, and whoever gets
// the signal can answer in its place. Intel has it since Ivy Bridge, AMD only lately, emulators not at all. In virtual machines
// it is the hypervisor that has to do it: some show the flag and do not, so the only proof is a CPUID that faults.
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "util/text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace cpulevel::engine::probe {

std::optional<bool> cpuid_fault_flag(const std::string& root) {
    const auto cpuinfo = read_small_file(root, "/proc/cpuinfo");
    if (!cpuinfo) return std::nullopt;
    for (const std::string_view line : split(*cpuinfo, '\n')) {
        if (!line.starts_with("flags")) continue;
        for (const std::string_view flag : split(line, ' ')) {
            if (flag == "cpuid_fault") return true;
        }
        return false;
    }
    return std::nullopt;
}

#if defined(__x86_64__)

namespace {

constexpr int kArchSetCpuid = 0x1012;  // <asm/prctl.h> ARCH_SET_CPUID

volatile sig_atomic_t faulted = 0;
volatile sig_atomic_t other_segv = 0;

// Only in the probe's child. Steps over the instruction, as an engine does.
void on_segv(int, siginfo_t* info, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const auto* code = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
    if (info->si_code == SI_KERNEL && info->si_addr == nullptr && code[0] == 0x0f && code[1] == 0xa2) {
        faulted = 1;
        registers[REG_RIP] += 2;
        return;
    }
    other_segv = 1;
    ::signal(SIGSEGV, SIG_DFL);
}

struct Tried {
    int error = 0;
    bool faulted = false;
    bool answers_again = false;  // after ARCH_SET_CPUID 1
};

}  // namespace

Capability cpuid_faulting(const std::string& root) {
    Capability result{.id = "cpuid-faulting", .title = "CPUID faulting", .need = Need::coverage,
                      .gives = "levels the CPUID instruction itself, wherever it is executed", .missing = {}, .detail = {}};
    const auto answer = ask_child<Tried>([](Tried& tried) {
        struct sigaction action{};
        action.sa_sigaction = on_segv;
        action.sa_flags = SA_SIGINFO;
        ::sigaction(SIGSEGV, &action, nullptr);
        if (::syscall(SYS_arch_prctl, kArchSetCpuid, 0UL) != 0) {
            tried.error = errno;
            return;
        }
        unsigned a = 0, b = 0, c = 0, d = 0;
        __cpuid_count(0, 0, a, b, c, d);
        tried.faulted = faulted == 1;
        faulted = 0;
        if (::syscall(SYS_arch_prctl, kArchSetCpuid, 1UL) == 0) {
            __cpuid_count(0, 0, a, b, c, d);
            tried.answers_again = faulted == 0 && other_segv == 0;
        }
    });
    const auto flag = cpuid_fault_flag(root);
    const bool advertised = flag.value_or(false);
    if (!answer.value) {
        result.missing = "could not be tried";
        result.detail = answer.end.describe();
    } else if (answer.value->error != 0) {
        result.detail = "arch_prctl(ARCH_SET_CPUID) gives " + errno_text(answer.value->error);
        result.missing = answer.value->error == ENODEV
                             ? "a CPU (or hypervisor) that can make CPUID fault; without it CPUID instructions are found and "
                               "changed in the program's code, as far as that is certain"
                             : "Linux 4.12 or later, and a sandbox that allows arch_prctl";
    } else if (!answer.value->faulted) {
        result.detail = "arch_prctl(ARCH_SET_CPUID) succeeds, and CPUID answers all the same";
        result.missing = "the hypervisor offers CPUID faulting and does not do it; report it to its operator";
    } else {
        result.works = Works::yes;
        result.detail = "a CPUID in a child raised SIGSEGV";
        if (!answer.value->answers_again) {
            result.works = Works::partial;
            result.missing = "it cannot be switched off again";
        }
    }
    if (flag && advertised != (result.works != Works::no)) {
        result.detail += fmt::format("; /proc/cpuinfo {} the flag cpuid_fault, which is wrong",
                                     advertised ? "shows" : "does not show");
    }
    return result;
}

#else

Capability cpuid_faulting(const std::string&) {
    return {.id = "cpuid-faulting", .title = "CPUID faulting", .works = Works::yes,
            .gives = "levels the CPUID instruction itself, wherever it is executed", .missing = {},
            .detail = "not needed: this architecture has no CPUID instruction"};
}

#endif

}  // namespace cpulevel::engine::probe
