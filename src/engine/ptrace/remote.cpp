#include "engine/ptrace/remote.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

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

bool write_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes) {
    iovec local{const_cast<std::byte*>(bytes.data()), bytes.size()};
    iovec remote = remote_range(to, bytes.size());
    return ::process_vm_writev(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes.size());
}

bool write_text(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes) {
    constexpr std::size_t kWord = sizeof(long);
    std::uint64_t at = value(to);
    while (!bytes.empty()) {
        const std::uint64_t word_start = at & ~(kWord - 1);
        const std::size_t skip = at - word_start;
        const std::size_t count = std::min(kWord - skip, bytes.size());
        std::array<std::byte, kWord> word;
        if (count != kWord) {
            errno = 0;
            const long old = ::ptrace(PTRACE_PEEKTEXT, pid, argument(word_start), nullptr);
            if (errno != 0) return false;
            std::memcpy(word.data(), &old, kWord);
        }
        std::memcpy(word.data() + skip, bytes.data(), count);
        if (::ptrace(PTRACE_POKETEXT, pid, argument(word_start), argument(std::bit_cast<std::uint64_t>(word))) != 0) {
            return false;
        }
        bytes = bytes.subspan(count);
        at += count;
    }
    return true;
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
