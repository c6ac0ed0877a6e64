// How a supervisor is asked to let its tree go, or to take it up again: by a signal, so that the kernel judges who may. It
// lets the same user and root send one, across containers and their namespaces of processes, users and networks, and
// there is nothing that a checkpoint of the supervisor would have to carry (a socket's name, a connection, a file).
//
// A request is SIGUSR1 (let go) or SIGUSR2 (take up); with sigqueue(3) its value carries the options, plain kill(1) has none.
// The answer is in the tree's record (registry.h), where a futex tells that it is there.
//
// The supervisor blocks in waitpid(). A signal that came just before that would be lost, so its handler also starts a
// timer, which interrupts until the request is taken: nothing is paid for that while nobody asks.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace cpulevel::engine::ptrace {

inline constexpr int kLetGoSignal = SIGUSR1;
inline constexpr int kTakeUpSignal = SIGUSR2;

struct Request {
    enum class Kind : std::uint8_t { let_go, take_up } kind = Kind::let_go;
    bool leave_stopped = false;   // let_go: every process is left stopped. take_up: none is continued.
    std::uint16_t patience = 10;  // seconds until it gives up
    [[nodiscard]] int value() const;
    [[nodiscard]] static Request of(int signal, int value);
    friend bool operator==(const Request&, const Request&) = default;
};

// Between the front and its supervisor.
[[nodiscard]] int front_gone_signal();    // the front was killed (PR_SET_PDEATHSIG)
[[nodiscard]] int program_gone_signal();  // the program ended while nobody traced it; the value is its wait status

// In the supervisor: makes the request signals arrive. They have to be unblocked.
void hear_requests();
[[nodiscard]] bool request_waits();
[[nodiscard]] std::optional<Request> take_request();

// While it lives, a blocking system call is interrupted every few milliseconds: to bound a wait.
class Ticking {
   public:
    Ticking();
    ~Ticking();
    Ticking(const Ticking&) = delete;
    Ticking& operator=(const Ticking&) = delete;
};

// Has this process been restored from a checkpoint since this was made? Then it is not the process that the kernel started
// at that time of that boot.
class Birth {
   public:
    Birth();
    [[nodiscard]] bool restored_since() const;

   private:
    [[nodiscard]] static std::pair<std::uint64_t, std::string> now();
    std::pair<std::uint64_t, std::string> at_;  // start time in ticks, boot id
};

}  // namespace cpulevel::engine::ptrace
