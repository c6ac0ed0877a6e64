#include "intake/reading_threads.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "util/fd.h"
#include "util/file.h"

namespace cpulevel::intake {
namespace {

constexpr std::size_t kMostWaiting = 6;  // batches

// Reads a regular file into the buffer. A file that is something else by now (a pipe would block us) is refused.
Result<void> read_regular(const std::string& path, std::string& buffer) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK));
    if (!fd.valid()) return system_error(ErrorKind::usage, "cannot open", path);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return system_error(ErrorKind::usage, "cannot read", path);
    if (!S_ISREG(status.st_mode)) return usage_error("cannot read", path, "it is not a regular file");
    if (status.st_size > static_cast<off_t>(kMaximumInputFile)) {
        return usage_error("file too large", path, fmt::format("more than {} bytes", kMaximumInputFile));
    }
    // One more than there should be: a file that grows meanwhile is read to its end.
    buffer.resize(static_cast<std::size_t>(status.st_size) + 1);
    std::size_t have = 0;
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data() + have, buffer.size() - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error(ErrorKind::usage, "cannot read", path);
        have += static_cast<std::size_t>(got);
        if (got == 0 || have < buffer.size()) break;
        if (have > kMaximumInputFile) {
            return usage_error("file too large", path, fmt::format("more than {} bytes", kMaximumInputFile));
        }
        buffer.resize(buffer.size() * 2);
    }
    buffer.resize(have);
    return {};
}

}  // namespace

ReadingThreads::ReadingThreads(Collector& collector, std::size_t count) : collector_(collector) {
    for (std::size_t i = 0; i < count; ++i) {
        Reader& reader = collector.new_reader();
        threads_.emplace_back([this, &reader] { work(reader); });
    }
}

void ReadingThreads::push(Batch batch, const std::function<void()>& meanwhile) {
    std::unique_lock lock(mutex_);
    while (waiting_.size() >= kMostWaiting) wait(lock, meanwhile);
    waiting_.push_back(std::move(batch));
    lock.unlock();
    filled_.notify_one();
}

void ReadingThreads::finish(const std::function<void()>& meanwhile) {
    {
        std::unique_lock lock(mutex_);
        while (!waiting_.empty()) wait(lock, meanwhile);
        ended_ = true;
    }
    filled_.notify_all();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

void ReadingThreads::wait(std::unique_lock<std::mutex>& lock, const std::function<void()>& meanwhile) {
    emptied_.wait_for(lock, std::chrono::milliseconds(100));
    lock.unlock();
    meanwhile();
    lock.lock();
}

void ReadingThreads::work(Reader& reader) {
    std::string buffer;
    for (;;) {
        Batch batch;
        {
            std::unique_lock lock(mutex_);
            filled_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            batch = std::move(waiting_.front());
            waiting_.pop_front();
        }
        emptied_.notify_one();
        for (const Batch::Text& text : batch.texts) {
            if (collector_.stopped()) break;
            reader.read_text(text.place, text.text, text.name);
        }
        for (const auto& [place, path] : batch.files) {
            if (collector_.stopped()) break;
            if (auto read = read_regular(*path, buffer); !read) {
                reader.fail(place, read.error());
            } else {
                reader.read_text(place, buffer, *path);
            }
        }
    }
}

}  // namespace cpulevel::intake
