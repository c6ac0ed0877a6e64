#include "engine/ptrace/asking.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>

#include "engine/registry.h"
#include "engine/registry_layout.h"

namespace cpulevel::engine::ptrace {

namespace {

// The record is sealed, so that nobody can take bytes away below this mapping.
class Record {
   public:
    explicit Record(int file) : page_(::mmap(nullptr, sizeof(layout::Record), PROT_READ, MAP_SHARED, file, 0)) {}
    ~Record() {
        if (valid()) ::munmap(page_, sizeof(layout::Record));
    }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    [[nodiscard]] bool valid() const { return page_ != MAP_FAILED; }
    [[nodiscard]] const layout::Record& operator*() const { return *static_cast<const layout::Record*>(page_); }

   private:
    void* page_;
};

}  // namespace

Result<std::string> ask_supervisor(pid_t supervisor, uid_t owner, const Request& request) {
    const auto file = open_record(supervisor);
    if (!file) return std::unexpected(file.error());
    const std::string whom = fmt::format("supervisor {}", supervisor);
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, supervisor, 0)));
    const Record record(file->get());
    if (!process.valid() || !record.valid()) return system_error(ErrorKind::machine, "cannot ask", whom);
    const std::atomic<std::uint32_t>& answers = (*record).control.answers;
    const std::uint32_t before = answers.load(std::memory_order_acquire);

    siginfo_t info{};
    info.si_signo = request.kind == Request::Kind::let_go ? kLetGoSignal : kTakeUpSignal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_int = request.value();
    if (::syscall(SYS_pidfd_send_signal, process.get(), info.si_signo, &info, 0) != 0) {
        return system_error(ErrorKind::machine, "cannot ask", whom,
                            errno == EPERM ? fmt::format("only its user ({}) and root may", owner) : "");
    }
    // The answer is an event; that it will never come is another one, which a futex cannot tell: it is looked for each second.
    while (answers.load(std::memory_order_acquire) == before) {
        const timespec second{1, 0};
        ::syscall(SYS_futex, &answers, FUTEX_WAIT, before, &second, nullptr, 0);
        pollfd ended{process.get(), POLLIN, 0};
        if (::poll(&ended, 1, 0) > 0 && answers.load(std::memory_order_acquire) == before) {
            return machine_error("it ended without an answer", whom, "", "`cpulevel status` shows what still runs levelled");
        }
    }
    const auto& text = (*record).answer;
    return std::string(text.begin(), std::ranges::find(text, '\0'));
}

}  // namespace cpulevel::engine::ptrace
