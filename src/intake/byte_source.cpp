#include "intake/byte_source.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace cpulevel::intake {
namespace {

class DescriptorSource : public ByteSource {
   public:
    DescriptorSource(int fd, std::string name, Fd owned) : owned_(std::move(owned)), fd_(fd), name_(std::move(name)) {}

    Result<std::size_t> read(std::span<char> into) override {
        for (;;) {
            const ssize_t got = ::read(fd_, into.data(), into.size());
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EINTR) return system_error(ErrorKind::usage, "cannot read", name_);
        }
    }

   private:
    Fd owned_;
    int fd_;
    std::string name_;
};

class MemorySource : public ByteSource {
   public:
    explicit MemorySource(std::string_view text) : text_(text) {}
    Result<std::size_t> read(std::span<char> into) override {
        const std::size_t count = std::min(into.size(), text_.size());
        if (count > 0) std::memcpy(into.data(), text_.data(), count);
        text_.remove_prefix(count);
        return count;
    }

   private:
    std::string_view text_;
};

class GzipSource : public ByteSource {
   public:
    GzipSource(std::unique_ptr<ByteSource> packed, std::string name) : packed_(std::move(packed)), name_(std::move(name)) {
        constexpr int kGzipOnly = 15 + 16;
        if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
    }
    ~GzipSource() override { inflateEnd(&stream_); }

    Result<std::size_t> read(std::span<char> into) override {
        if (into.empty()) return 0;
        stream_.next_out = reinterpret_cast<Bytef*>(into.data());
        stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(into.size(), 1U << 30U));
        const uInt room = stream_.avail_out;
        while (stream_.avail_out == room) {
            if (stream_.avail_in == 0) {
                const auto got = packed_->read(buffer_);
                if (!got) return got;
                if (*got == 0) {
                    if (between_members_) return 0;
                    return usage_error("damaged gzip data", name_, "it ends in the middle");
                }
                stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
                stream_.avail_in = static_cast<uInt>(*got);
            }
            if (between_members_ && started_) inflateReset(&stream_);
            between_members_ = false;
            started_ = true;
            const int status = inflate(&stream_, Z_NO_FLUSH);
            if (status == Z_STREAM_END) {
                between_members_ = true;
            } else if (status != Z_OK && status != Z_BUF_ERROR) {
                // What is good before the damage comes first; asked once more, zlib says the same again.
                if (stream_.avail_out != room) break;
                return usage_error("damaged gzip data", name_, stream_.msg != nullptr ? stream_.msg : "");
            }
        }
        return room - stream_.avail_out;
    }

   private:
    std::unique_ptr<ByteSource> packed_;
    std::string name_;
    z_stream stream_{};
    std::array<char, 65536> buffer_{};
    bool between_members_ = true;
    bool started_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> from_descriptor(int fd, std::string name, Fd owned) {
    return std::make_unique<DescriptorSource>(fd, std::move(name), std::move(owned));
}
std::unique_ptr<ByteSource> from_memory(std::string_view text) { return std::make_unique<MemorySource>(text); }
std::unique_ptr<ByteSource> from_gzip(std::unique_ptr<ByteSource> packed, std::string name) {
    return std::make_unique<GzipSource>(std::move(packed), std::move(name));
}

Result<std::string_view> PeekedSource::peek(std::size_t most) {
    while (first_.size() < most) {
        const std::size_t before = first_.size();
        first_.resize(most);
        const auto got = rest_->read(std::span(first_).subspan(before));
        first_.resize(before + got.value_or(0));
        if (!got && first_.empty()) return std::unexpected(got.error());
        if (!got) behind_ = got.error();
        if (!got || *got == 0) break;
    }
    return std::string_view(first_).substr(0, most);
}

Result<std::size_t> PeekedSource::read(std::span<char> into) {
    if (given_ == first_.size() && behind_) return std::unexpected(*behind_);
    if (given_ == first_.size()) return rest_->read(into);
    const std::size_t count = std::min(into.size(), first_.size() - given_);
    std::memcpy(into.data(), first_.data() + given_, count);
    given_ += count;
    return count;
}

Result<std::string> read_all(ByteSource& source, const std::string& name, std::size_t limit) {
    std::string content;
    std::array<char, 65536> buffer;
    for (;;) {
        const auto got = source.read(buffer);
        if (!got) return std::unexpected(got.error());
        if (*got == 0) return content;
        content.append(buffer.data(), *got);
        if (content.size() > limit) return usage_error("too large", name, "more than " + std::to_string(limit) + " bytes");
    }
}

}  // namespace cpulevel::intake
