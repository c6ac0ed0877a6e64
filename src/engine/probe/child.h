// A child process for one probe: what it does to its memory, its seccomp filter or its life cannot hurt the caller.
//
// The child answers through a pipe, not through its exit status: a caller that was started with SIGCHLD ignored (the
// disposition is inherited over exec) never gets to see a status, and `check` must not depend on who started it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>

namespace cpulevel::engine::probe {

inline constexpr std::chrono::milliseconds kProbeTimeLimit{5000};
inline constexpr std::size_t kMaximumAnswer = 65536;  // bytes; what a child writes beyond that is dropped

struct ChildEnd {
    int fork_errno = 0;             // not 0: there was no child
    bool timed_out = false;         // was killed at the time limit
    std::optional<int> status;      // as waitpid gives it; absent if the caller ignores SIGCHLD
    [[nodiscard]] std::string describe() const;  // "killed by SIGSYS (Bad system call)", for a probe's detail
};

struct RawAnswer {
    std::string bytes;
    ChildEnd end;
};

// Forks; in the child: default signal dispositions, empty mask, no core dumps, dies with its parent; then
// body(descriptor to answer on), then _exit(0). `body` runs after fork(), so it must not allocate or lock. Returns
// when the child and everything that holds the pipe has ended, or was killed at the time limit.
[[nodiscard]] RawAnswer ask_child_raw(const std::function<void(int answer_fd)>& body,
                                      std::chrono::milliseconds limit = kProbeTimeLimit);

template <class T>
struct Answer {
    std::optional<T> value;  // absent when the child died before it had answered: see `end`
    ChildEnd end;
};

void write_answer(int fd, const void* data, std::size_t size);

template <class T, class Body>
[[nodiscard]] Answer<T> ask_child(const Body& body, std::chrono::milliseconds limit = kProbeTimeLimit) {
    static_assert(std::is_trivially_copyable_v<T>);
    const RawAnswer raw = ask_child_raw(
        [&body](int fd) {
            T value{};
            body(value);
            write_answer(fd, &value, sizeof value);
        },
        limit);
    Answer<T> answer{std::nullopt, raw.end};
    if (raw.bytes.size() == sizeof(T)) {
        T value{};
        std::memcpy(&value, raw.bytes.data(), sizeof value);
        answer.value = value;
    }
    return answer;
}

// "EPERM (Operation not permitted)".
[[nodiscard]] std::string errno_text(int value);

}  // namespace cpulevel::engine::probe
