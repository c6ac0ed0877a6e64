#include "engine/ptrace/remote.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

namespace cpulevel::engine::ptrace {

namespace {

// ptrace(2) takes its arguments as pointers, whatever they mean.
void* argument(std::uint64_t number) { return std::bit_cast<void*>(number); }

iovec remote_range(RemoteAddress address, std::size_t size) { return {argument(value(address)), size}; }

}  // namespace

std::size_t read_memory(pid_t pid, RemoteAddress from, std::span<std::byte> into) {
    iovec local{into.data(), into.size()};
    iovec remote = remote_range(from, into.size());
    const ssize_t got = ::process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return got < 0 ? 0 : static_cast<std::size_t>(got);
}

std::size_t read_memory(pid_t pid, std::span<const MemoryPiece> pieces) {
    constexpr std::size_t kMost = 64;
    std::array<iovec, kMost> local;
    std::array<iovec, kMost> remote;
    const std::size_t count = std::min(pieces.size(), kMost);
    for (std::size_t i = 0; i < count; ++i) {
        local[i] = {pieces[i].into.data(), pieces[i].into.size()};
        remote[i] = remote_range(pieces[i].from, pieces[i].into.size());
    }
    const ssize_t got = ::process_vm_readv(pid, local.data(), count, remote.data(), count, 0);
    return got < 0 ? 0 : static_cast<std::size_t>(got);
}

bool write_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes) {
    iovec local{const_cast<std::byte*>(bytes.data()), bytes.size()};
    iovec remote = remote_range(to, bytes.size());
    return ::process_vm_writev(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes.size());
}

bool write_text(const Fd& memory, RemoteAddress to, std::span<const std::byte> bytes) {
    return memory.valid() && ::pwrite(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(value(to))) ==
                                 static_cast<ssize_t>(bytes.size());
}

Fd open_process_memory(pid_t pid) {
    std::array<char, 32> path;
    *fmt::format_to(path.data(), "/proc/{}/mem", pid) = '\0';
    return Fd(::open(path.data(), O_RDWR | O_CLOEXEC));
}

bool resume(pid_t tid, Resume how, int signal) {
    const auto request = how == Resume::run             ? PTRACE_CONT
                         : how == Resume::until_syscall ? PTRACE_SYSCALL
                                                        : PTRACE_LISTEN;
    return ::ptrace(request, tid, nullptr, argument(static_cast<std::uint64_t>(signal))) == 0;
}

std::optional<std::uint64_t> event_message(pid_t tid) {
    unsigned long message = 0;
    if (::ptrace(PTRACE_GETEVENTMSG, tid, nullptr, &message) != 0) return std::nullopt;
    return message;
}

std::optional<std::uint64_t> signal_mask(pid_t tid) {
    std::uint64_t mask = 0;
    if (::ptrace(PTRACE_GETSIGMASK, tid, argument(sizeof mask), &mask) != 0) return std::nullopt;
    return mask;
}

bool set_signal_mask(pid_t tid, std::uint64_t mask) {
    return ::ptrace(PTRACE_SETSIGMASK, tid, argument(sizeof mask), &mask) == 0;
}

}  // namespace cpulevel::engine::ptrace
