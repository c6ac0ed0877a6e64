#include "engine/ptrace/control.h"

#include <sys/time.h>

#include "engine/ptrace/proc_stat.h"
#include "util/blocked_signals.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

// si_value: bit 0 the flag, bits 8 to 23 the seconds.
constexpr int kStopped = 1;
constexpr int kSecondsShift = 8;
constexpr int kMostSeconds = 0xffff;

volatile sig_atomic_t g_signal = 0;
volatile sig_atomic_t g_value = 0;
volatile sig_atomic_t g_ticking = 0;  // Ticking objects that live

void tick_every(suseconds_t microseconds) {
    const itimerval interval{{0, microseconds}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &interval, nullptr);
}

constexpr suseconds_t kTick = 5'000;

void on_request(int signal, siginfo_t* info, void*) {
    g_value = info->si_code == SI_QUEUE ? info->si_value.sival_int : 0;
    g_signal = signal;
    tick_every(kTick);
}

void on_tick(int) {}

}  // namespace

int Request::value() const {
    return (leave_stopped ? kStopped : 0) | static_cast<int>(static_cast<unsigned>(patience) << kSecondsShift);
}

Request Request::of(int signal, int value) {
    Request request;
    request.kind = signal == kTakeUpSignal ? Kind::take_up : Kind::let_go;
    request.leave_stopped = (value & kStopped) != 0;
    const int seconds = (value >> kSecondsShift) & kMostSeconds;
    if (seconds != 0) request.patience = static_cast<std::uint16_t>(seconds);
    return request;
}

int front_gone_signal() { return SIGRTMIN + 1; }
int program_gone_signal() { return SIGRTMIN + 2; }

void hear_requests() {
    struct sigaction action {};
    action.sa_sigaction = on_request;
    action.sa_flags = SA_SIGINFO;
    ::sigfillset(&action.sa_mask);
    ::sigaction(kLetGoSignal, &action, nullptr);
    ::sigaction(kTakeUpSignal, &action, nullptr);
    struct sigaction tick {};
    tick.sa_handler = on_tick;
    ::sigaction(SIGALRM, &tick, nullptr);
}

bool request_waits() { return g_signal != 0; }

std::optional<Request> take_request() {
    const BlockedSignals both({kLetGoSignal, kTakeUpSignal});
    const int signal = g_signal;
    const int value = g_value;
    g_signal = 0;
    if (g_ticking == 0) tick_every(0);
    if (signal == 0) return std::nullopt;
    return Request::of(signal, value);
}

Ticking::Ticking() {
    g_ticking = g_ticking + 1;
    tick_every(kTick);
}

Ticking::~Ticking() {
    g_ticking = g_ticking - 1;
    if (g_ticking == 0 && !request_waits()) tick_every(0);
}

Birth::Birth() : at_(now()) {}

bool Birth::restored_since() const { return now() != at_; }

std::pair<std::uint64_t, std::string> Birth::now() {
    const auto stat = read_proc_stat(::getpid());
    const auto boot = read_file("/proc/sys/kernel/random/boot_id");
    return {stat ? stat->start_time : 0, boot ? std::string(trim(*boot)) : std::string{}};
}

}  // namespace cpulevel::engine::ptrace
