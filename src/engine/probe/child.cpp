#include "engine/probe/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "util/fd.h"

namespace cpulevel::engine::probe {

namespace {

// In the child: nothing of the caller's signal set-up may change what the probe sees.
void prepare_child(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);  // the caller died before the line above
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
}

// Reads until every holder of the pipe's other end is gone; false at the time limit.
bool read_to_end(int fd, std::chrono::milliseconds limit, std::string& bytes) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::array<char, 4096> buffer;
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return false;
        pollfd waiting{fd, POLLIN, 0};
        const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
        if (ready < 0 && errno != EINTR) return false;
        if (ready <= 0) continue;
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        if (bytes.size() < kMaximumAnswer) bytes.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace

void write_answer(int fd, const void* data, std::size_t size) {
    const char* at = static_cast<const char*>(data);
    while (size != 0) {
        const ssize_t put = ::write(fd, at, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return;
        at += put;
        size -= static_cast<std::size_t>(put);
    }
}

RawAnswer ask_child_raw(const std::function<void(int)>& body, std::chrono::milliseconds limit) {
    RawAnswer answer;
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        answer.end.fork_errno = errno;
        return answer;
    }
    Fd reading(ends[0]);
    Fd writing(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) {
        answer.end.fork_errno = errno;
        return answer;
    }
    if (child == 0) {
        prepare_child(parent);
        body(writing.get());
        ::_exit(0);
    }
    writing.reset();
    answer.end.timed_out = !read_to_end(reading.get(), limit, answer.bytes);
    if (answer.end.timed_out) ::kill(child, SIGKILL);
    int status = 0;
    pid_t waited;
    do {
        waited = ::waitpid(child, &status, 0);
    } while (waited < 0 && errno == EINTR);
    if (waited == child) answer.end.status = status;
    return answer;
}

std::string ChildEnd::describe() const {
    if (fork_errno != 0) return "no child process could be made: " + errno_text(fork_errno);
    if (timed_out) return "the probe did not end in time and was killed";
    if (!status) return "the probe ended without an answer";
    if (WIFSIGNALED(*status)) {
        const char* abbreviation = ::sigabbrev_np(WTERMSIG(*status));
        return "the probe was killed by SIG" +
               (abbreviation != nullptr ? std::string(abbreviation) : std::to_string(WTERMSIG(*status)));
    }
    return "the probe ended with status " + std::to_string(WEXITSTATUS(*status)) + " and without an answer";
}

std::string errno_text(int value) {
    const char* abbreviation = ::strerrorname_np(value);
    const char* words = ::strerrordesc_np(value);
    if (abbreviation == nullptr || words == nullptr) return "error " + std::to_string(value);
    return std::string(abbreviation) + " (" + words + ")";
}

}  // namespace cpulevel::engine::probe
