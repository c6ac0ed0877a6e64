// A stopped tracee's memory, registers and ptrace requests, with names that make misuse hard.
//
// Every function here fails softly when the tracee is gone (it can be killed at any time, also while stopped): the
// answer is then `false` or nothing, and the event loop learns the rest from waitpid.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "util/fd.h"

namespace cpulevel::engine::ptrace {

// An address in the tracee's address space; not a pointer of ours.
enum class RemoteAddress : std::uint64_t {};

[[nodiscard]] constexpr std::uint64_t value(RemoteAddress address) { return static_cast<std::uint64_t>(address); }
[[nodiscard]] constexpr RemoteAddress operator+(RemoteAddress address, std::uint64_t offset) {
    return RemoteAddress{value(address) + offset};
}

// Bytes read, from the start; fewer when the range ends in unmapped memory, 0 when nothing could be read.
[[nodiscard]] std::size_t read_memory(pid_t pid, RemoteAddress from, std::span<std::byte> into);
// Several pieces in one system call, in their order; the bytes read, up to the first that could not be.
struct MemoryPiece {
    RemoteAddress from{};
    std::span<std::byte> into;
};
[[nodiscard]] std::size_t read_memory(pid_t pid, std::span<const MemoryPiece> pieces);
// Writes memory that the tracee itself may write (its stack). All or false.
[[nodiscard]] bool write_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes);
// Writes any mapped memory, also read-only text, as a debugger does: a page that is written becomes a private copy. `memory`
// is /proc/PID/mem. All or false.
bool write_text(const Fd& memory, RemoteAddress to, std::span<const std::byte> bytes);
[[nodiscard]] Fd open_process_memory(pid_t pid);

enum class Resume : std::uint8_t { run, until_syscall, listen };
// Lets the stopped thread go on, with `signal` delivered (0: none). False: it is gone.
bool resume(pid_t tid, Resume how, int signal = 0);

[[nodiscard]] std::optional<std::uint64_t> event_message(pid_t tid);
[[nodiscard]] std::optional<std::uint64_t> signal_mask(pid_t tid);
bool set_signal_mask(pid_t tid, std::uint64_t mask);

}  // namespace cpulevel::engine::ptrace
