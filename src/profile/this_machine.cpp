// The probe's sources on the machine where we run: one CPUID dump per CPU, made by a thread bound to that CPU, and the
// auxiliary vector as the kernel wrote it.
//
// A profile must hold for every CPU on which a program may be scheduled, and hybrid parts, mixed sockets and firmware
// with microcode missing on one core really differ. So the answer of one CPU is not enough. Binding is done in a
// helper thread because affinity is a property of a thread: the caller's own stays as it is, even if we fail halfway.
// A container's cpuset may forbid CPUs that are online; the kernel then says EINVAL, and the probe reports which.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "inherit/aux_vector.h"
#include "profile/cpu_list.h"
#include "profile/cpuid_walk.h"
#include "profile/native.h"
#include "profile/probe.h"
#include "util/file.h"

namespace cpulevel::profile {
namespace {

constexpr std::size_t kMaximumAuxv = 1U << 16U;  // bytes; the kernel's has about 400

struct CpuSetDeleter {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

// Binds the calling thread to one CPU; the error of the system call, or 0.
int bind_to(unsigned cpu) {
    const std::unique_ptr<cpu_set_t, CpuSetDeleter> set(CPU_ALLOC(kMaximumCpu + 1));
    if (!set) return ENOMEM;
    const std::size_t size = CPU_ALLOC_SIZE(kMaximumCpu + 1);
    CPU_ZERO_S(size, set.get());
    CPU_SET_S(cpu, size, set.get());
    return ::sched_setaffinity(0, size, set.get()) == 0 ? 0 : errno;
}

Result<arch::CpuidDump> dump_cpuid_on(unsigned cpu) {
    arch::CpuidDump dump;
    int failure = 0;
    std::thread([&] {
        failure = bind_to(cpu);
        if (failure == 0) dump = walk_cpuid(native::cpuid);
    }).join();
    if (failure == EINVAL) {
        return machine_error("not allowed to run there", {}, "outside of this process's cpuset, or gone offline");
    }
    if (failure != 0) {
        return std::unexpected(Error{ErrorKind::machine, "cannot run there", {}, failure, {}, {}});
    }
    return dump;
}

// AT_PLATFORM is an address in the program's own stack. Only ours can be followed.
std::optional<std::string> platform_of(const std::string& auxv) {
    const auto parsed = inherit::AuxVector::parse(std::as_bytes(std::span(auxv)), inherit::WordSize::bits64);
    if (!parsed) return std::nullopt;
    const auto address = parsed->find(inherit::kAtPlatform);
    if (!address || *address == 0) return std::nullopt;
    const auto* text = reinterpret_cast<const char*>(static_cast<std::uintptr_t>(*address));
    return std::string(text, ::strnlen(text, 64));
}

// The child's status says what happened. A CPUID fault is a SIGSEGV that the kernel forces, so a handler suffices.
constexpr int kFaulted = 10, kRefused = 11, kDidNotFault = 12;

[[noreturn]] void try_faulting() {
    struct sigaction action {};
    action.sa_handler = [](int) { ::_exit(kFaulted); };
    ::sigaction(SIGSEGV, &action, nullptr);
    sigset_t segv;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    ::sigprocmask(SIG_UNBLOCK, &segv, nullptr);
    if (!native::arm_cpuid_faulting()) ::_exit(kRefused);
    static_cast<void>(native::cpuid(0, 0));
    ::_exit(kDidNotFault);  // /proc/cpuinfo's cpuid_fault promises it, and some hypervisors do not do it
}

}  // namespace

std::optional<bool> cpuid_faulting_works() {
    if (!native::has_cpuid()) return std::nullopt;
    const pid_t child = ::fork();
    if (child < 0) return std::nullopt;
    if (child == 0) try_faulting();
    int status = 0;
    pid_t waited = 0;
    do {
        waited = ::waitpid(child, &status, 0);
    } while (waited < 0 && errno == EINTR);
    if (waited != child || !WIFEXITED(status)) return std::nullopt;
    switch (WEXITSTATUS(status)) {
        case kFaulted: return true;
        case kRefused:
        case kDidNotFault: return false;
        default: return std::nullopt;
    }
}

Result<arch::CpuidDump> dump_cpuid_here() {
    if (!native::has_cpuid()) return machine_error("no CPUID instruction on this architecture");
    return walk_cpuid(native::cpuid);
}

Result<ProbeSources> this_machine() {
    const auto architecture = native::architecture();
    if (!architecture) return machine_error("unknown architecture", "this machine");
    const auto auxv = read_file("/proc/self/auxv", kMaximumAuxv);
    if (!auxv) return std::unexpected(auxv.error());
    ProbeSources sources;
    sources.architecture = *architecture;
    const auto bytes = std::as_bytes(std::span(*auxv));
    sources.auxv.assign(bytes.begin(), bytes.end());
    sources.platform = platform_of(*auxv);
    if (native::has_cpuid()) {
        sources.cpuid = dump_cpuid_on;
        sources.xgetbv = native::xgetbv;
        sources.cpuid_faulting = cpuid_faulting_works;
    }
    sources.registers = native::registers();
    return sources;
}

}  // namespace cpulevel::profile
