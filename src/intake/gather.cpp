#include "intake/gather.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "intake/byte_source.h"
#include "intake/chunks.h"
#include "intake/collector.h"
#include "intake/documents.h"
#include "intake/reading_threads.h"
#include "intake/tar.h"
#include "intake/walk.h"
#include "util/file.h"

namespace cpulevel::intake {
namespace {

constexpr unsigned kPlaceBits = 40;                             // of a Place, for the number within a source
constexpr std::size_t kLargestWhole = std::size_t{256} << 20U;  // bytes, of a description that is read as one
constexpr std::size_t kLargestLine = std::size_t{4} << 20U;
constexpr std::size_t kPeek = std::size_t{256} << 10U;
constexpr std::size_t kBatchFiles = 32;

Place place_of(std::size_t source, std::uint64_t index) { return std::uint64_t{source} << kPlaceBits | index; }

class Gatherer {
   public:
    Gatherer(const std::vector<Source>& sources, const GatherOptions& options)
        : sources_(sources), options_(options), collector_(options.keep_going), own_(collector_.new_reader()) {}

    Result<Gathered> run() {
        walked_.resize(sources_.size());
        for (std::size_t i = 0; i < sources_.size() && !collector_.stopped(); ++i) {
            if (const auto* path = std::get_if<std::string>(&sources_[i])) {
                if (auto read = read_path(i, *path); !read) fail(i, read.error());
            } else {
                profile::NodeProfile node = std::get<profile::NodeProfile>(sources_[i]);
                own_.read_node(place_of(i, 0), std::move(node));
            }
        }
        if (threads_) threads_->finish([this] { tell(); });
        auto gathered = collector_.finish([this](Place place) { return name_of(place); });
        if (!gathered) return gathered;
        gathered->links_skipped = links_;
        gathered->others_skipped = others_;
        return gathered;
    }

   private:
    void fail(std::size_t source, Error error) { own_.fail(place_of(source, next_), std::move(error)); }
    // What was read of the source before stays.
    void fail_rest(std::size_t source, Error error) { own_.fail_rest(place_of(source, next_), std::move(error)); }

    void tell() const {
        if (options_.progress) options_.progress(collector_.done(), total_);
    }

    // Also where nobody ever waits for the readers, as with a stream that is slower than they are.
    void tell_now_and_then() {
        const auto now = std::chrono::steady_clock::now();
        if (now - told_ < std::chrono::milliseconds(100)) return;
        told_ = now;
        tell();
    }

    void hand_over(Batch batch) {
        if (!threads_) {
            const std::size_t count = options_.threads != 0 ? options_.threads : std::thread::hardware_concurrency();
            threads_ = std::make_unique<ReadingThreads>(collector_, std::clamp<std::size_t>(count, 1, 64));
        }
        threads_->push(std::move(batch), [this] { tell(); });
        tell_now_and_then();
    }

    Result<void> read_path(std::size_t source, const std::string& path) {
        next_ = 0;
        if (path == "-") return read_stream(source, from_descriptor(STDIN_FILENO, "standard input"), "standard input");
        struct stat status{};
        if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return read_folder(source, path);
        Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
        if (!fd.valid()) return system_error(ErrorKind::usage, "cannot open", path);
        const int number = fd.get();
        return read_stream(source, from_descriptor(number, path, std::move(fd)), path);
    }

    Result<void> read_folder(std::size_t source, const std::string& path) {
        auto walked = walk(path);
        if (!walked) return std::unexpected(walked.error());
        walked_[source] = std::move(walked->files);
        links_ += walked->links;
        others_ += walked->others;
        for (Error& error : walked->unreadable) fail_rest(source, std::move(error));
        const std::vector<std::string>& files = walked_[source];
        total_ += files.size();
        Batch batch;
        for (std::size_t i = 0; i < files.size() && !collector_.stopped(); ++i) {
            batch.files.emplace_back(place_of(source, i), &files[i]);
            if (batch.files.size() == kBatchFiles) hand_over(std::exchange(batch, {}));
        }
        if (!batch.files.empty()) hand_over(std::move(batch));
        next_ = files.size();
        if (files.empty() && walked->unreadable.empty()) return usage_error("no files in the folder", path);
        return {};
    }

    // A tar archive, JSON lines (either may be packed by gzip), or one description.
    Result<void> read_stream(std::size_t source, std::unique_ptr<ByteSource> bytes, const std::string& name) {
        auto peeked = std::make_unique<PeekedSource>(std::move(bytes));
        auto first = peeked->peek(kPeek);
        if (!first) return std::unexpected(first.error());
        if (first->starts_with("\x1f\x8b\x08")) {
            peeked = std::make_unique<PeekedSource>(from_gzip(std::move(peeked), name));
            first = peeked->peek(kPeek);
            if (!first) return std::unexpected(first.error());
        }
        if (looks_like_tar(*first)) return read_tar(source, *peeked, name);
        if (looks_like_json_lines(*first)) return read_lines(source, *peeked, name);
        const auto text = read_all(*peeked, name, kLargestWhole);
        if (!text) return std::unexpected(text.error());
        own_.read_text(place_of(source, 0), *text, name);
        return {};
    }

    Result<void> read_tar(std::size_t source, ByteSource& bytes, const std::string& name) {
        TarReader tar(bytes, name);
        Batch batch;
        while (!collector_.stopped()) {
            const auto member = tar.next();
            if (!member || !*member) {
                if (!batch.texts.empty()) hand_over(std::move(batch));
                links_ += tar.links_skipped();
                if (!member) fail_rest(source, member.error());
                if (member && next_ == 0) return usage_error("no files in the archive", name);
                return {};
            }
            const std::string& inner = (*member)->name;
            const auto slash = inner.rfind('/');
            if (inner[slash == std::string::npos ? 0 : slash + 1] == '.') continue;  // as in folders
            const Place place = place_of(source, next_++);
            std::string called = name + ": " + inner;
            if ((*member)->size > kMaximumInputFile) {
                own_.fail(place,
                          usage_error("file too large", called, fmt::format("more than {} bytes", kMaximumInputFile))
                              .error());
                continue;
            }
            const auto content = tar.content();
            if (!content) {
                if (!batch.texts.empty()) hand_over(std::move(batch));
                fail_rest(source, content.error());
                return {};
            }
            if (batch.chunk != tar.chunk() && !batch.texts.empty()) hand_over(std::exchange(batch, {}));
            batch.chunk = tar.chunk();
            batch.texts.push_back({place, *content, std::move(called)});
        }
        return {};
    }

    Result<void> read_lines(std::size_t source, ByteSource& bytes, const std::string& name) {
        ChunkedSource chunks(bytes);
        Batch batch;
        std::size_t number = 0;
        std::size_t searched = 0;  // of what is unread, for the line's end
        const auto ends_here = [&](Error error) {
            if (!batch.texts.empty()) hand_over(std::move(batch));
            fail_rest(source, std::move(error));
            return Result<void>{};
        };
        for (bool ended = false; !collector_.stopped();) {
            const std::string_view unread = chunks.unread();
            const auto end = unread.find('\n', searched);
            if (end == std::string_view::npos && !ended) {
                searched = unread.size();
                if (unread.size() > kLargestLine) {
                    return ends_here(usage_error("a line is too long", fmt::format("{}: line {}", name, number + 1),
                                                 fmt::format("more than {} bytes", kLargestLine))
                                         .error());
                }
                const auto more = chunks.more();
                if (batch.chunk != chunks.chunk() && !batch.texts.empty()) hand_over(std::exchange(batch, {}));
                batch.chunk = chunks.chunk();
                if (!more) return ends_here(more.error());
                ended = !*more;
                continue;
            }
            if (unread.empty()) break;
            ++number;
            const std::string_view line = unread.substr(0, end);
            if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
                batch.texts.push_back({place_of(source, next_++), line, fmt::format("{}: line {}", name, number)});
            }
            chunks.pass(std::min(line.size() + 1, unread.size()));
            searched = 0;
        }
        if (!batch.texts.empty()) hand_over(std::move(batch));
        return {};
    }

    std::string name_of(Place place) const {
        const auto source = static_cast<std::size_t>(place >> kPlaceBits);
        const std::uint64_t index = place & ((std::uint64_t{1} << kPlaceBits) - 1);
        if (index < walked_[source].size()) return walked_[source][index];
        const auto* path = std::get_if<std::string>(&sources_[source]);
        const std::string name = path == nullptr ? "level" : *path == "-" ? "standard input" : *path;
        return index == 0 ? name : fmt::format("{}, {}", name, index + 1);
    }

    const std::vector<Source>& sources_;
    const GatherOptions& options_;
    Collector collector_;
    Reader& own_;
    std::vector<std::vector<std::string>> walked_;  // by source; threads have pointers to the paths
    std::uint64_t next_ = 0;                        // number of the next description of the current source
    std::size_t total_ = 0;
    std::chrono::steady_clock::time_point told_;
    std::size_t links_ = 0;
    std::size_t others_ = 0;
    std::unique_ptr<ReadingThreads> threads_;  // last: it ends before what its threads use
};

}  // namespace

Result<Gathered> gather(const std::vector<Source>& sources, const GatherOptions& options) {
    return Gatherer(sources, options).run();
}

}  // namespace cpulevel::intake
