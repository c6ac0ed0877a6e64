#include "audit/live/snapshot_of.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "audit/live/thread_state.h"
#include "engine/portable.h"
#include "engine/ptrace/memory_map.h"
#include "engine/registry.h"
#include "profile/derive.h"
#include "profile/native.h"
#include "profile/probe.h"
#include "util/fd.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::audit::live {
namespace {

constexpr std::size_t kMostText = 4U << 20U;  // bytes of a file of /proc

class LiveMemory : public Memory {
   public:
    explicit LiveMemory(Fd file) : file_(std::move(file)) {}
    [[nodiscard]] std::size_t read(std::uint64_t address, std::span<std::byte> into) const override {
        std::size_t done = 0;
        while (done < into.size()) {
            const ssize_t got = ::pread(file_.get(), into.data() + done, into.size() - done, static_cast<off_t>(address + done));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            done += static_cast<std::size_t>(got);
        }
        return done;
    }

   private:
    Fd file_;
};

// EI_CLASS of the program; the auxiliary vector has its word size.
inherit::WordSize word_size(pid_t pid) {
    const Fd file(::open(fmt::format("/proc/{}/exe", pid).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    std::array<unsigned char, 5> start{};
    constexpr unsigned char kClass32 = 1;
    const bool is_32 = file.valid() && ::read(file.get(), start.data(), start.size()) == static_cast<ssize_t>(start.size()) && start[4] == kClass32;
    return is_32 ? inherit::WordSize::bits32 : inherit::WordSize::bits64;
}

// A thread that waits in a system call shows its stack pointer to whoever may trace it, without being stopped:
// "NUMBER ARGUMENT... SP PC", or "running".
std::optional<std::uint64_t> waiting_stack_pointer(pid_t pid, pid_t tid) {
    const auto text = read_file(fmt::format("/proc/{}/task/{}/syscall", pid, tid), kMostText);
    if (!text) return std::nullopt;
    const auto words = split(trim(*text), ' ');
    if (words.size() < 3) return std::nullopt;
    return parse_number(words[words.size() - 2]);
}

void read_status(Thread& thread, pid_t pid) {
    const auto status = read_file(fmt::format("/proc/{}/task/{}/status", pid, thread.tid), kMostText);
    if (!status) return;
    if (const auto mask = parse_hex(status_field(*status, "SigBlk"))) thread.blocked_signals = *mask;
    thread.shadow_stack = status_field(*status, "x86_Thread_features").find("shstk") != std::string_view::npos;
}

}  // namespace

std::optional<profile::XsaveLayout> layout_here() {
    if (!profile::native::has_cpuid()) return std::nullopt;
    const auto dump = profile::dump_cpuid_here();
    if (!dump) return std::nullopt;
    const auto leaf = arch::find(*dump, 1);
    constexpr std::uint32_t kOsxsave = 1U << 27U;
    if (!leaf || (leaf->ecx & kOsxsave) == 0) return std::nullopt;
    const auto layout = profile::xsave_layout(*dump, profile::native::xgetbv());
    return layout ? *layout : std::nullopt;
}

std::string process_name(pid_t pid) {
    const auto text = read_file(fmt::format("/proc/{}/comm", pid), kMostText);
    return text ? std::string(trim(*text)) : std::string();
}

bool is_portable(pid_t pid) {
    const auto tree = engine::find_tree(pid);
    if (!tree || !*tree) return false;
    const engine::TreeView& view = **tree;
    const bool is_ours = view.supervisor == pid || engine::in_namespace_of(view.supervisor, view.front) == pid;
    return is_ours && engine::runs_portably(pid);
}

Result<Snapshot> snapshot_of(std::span<const StoppedProcess::Thread> threads, pid_t pid, const profile::XsaveLayout* layout) {
    Snapshot snapshot;
    snapshot.pid = pid;
    snapshot.name = process_name(pid);
    snapshot.architecture = profile::native::architecture().value_or(arch::Architecture::x86_64);
    if (layout != nullptr) snapshot.layout = *layout;
    Fd memory(::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC));
    if (!memory.valid()) {
        if (errno == ENOENT || errno == ESRCH) return usage_error("no such process", std::to_string(pid));
        return system_error(ErrorKind::machine, "cannot look at the memory of the process", std::to_string(pid),
                            "be its user with the right to trace it, or root");
    }
    snapshot.memory = std::make_unique<LiveMemory>(std::move(memory));
    for (engine::ptrace::MemoryMapping& mapping : engine::ptrace::read_memory_map(pid)) {
        snapshot.mappings.push_back({mapping.start, mapping.end, true, true, mapping.executable, std::move(mapping.path)});
    }
    const inherit::WordSize size = word_size(pid);
    if (const auto blob = read_file(fmt::format("/proc/{}/auxv", pid), kMostText); blob && !blob->empty()) {
        auto vector = inherit::AuxVector::parse(std::as_bytes(std::span(*blob)), size);
        if (vector) snapshot.aux_vector = std::move(*vector);
    }
    if (const auto tree = engine::find_tree(pid); tree && *tree && (*tree)->supervisor != pid) snapshot.levelled_by = (*tree)->level;
    for (const StoppedProcess::Thread& one : threads) {
        Thread thread;
        thread.tid = one.tid;
        read_status(thread, pid);
        if (one.stopped) {
            read_registers(thread, layout);
        } else {
            thread.unreadable = one.why_not;
            thread.is_32bit = size == inherit::WordSize::bits32;
            thread.stack_pointer = waiting_stack_pointer(pid, one.tid);
        }
        snapshot.threads.push_back(std::move(thread));
    }
    return snapshot;
}

}  // namespace cpulevel::audit::live
