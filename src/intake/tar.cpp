#include "intake/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "util/text.h"

namespace cpulevel::intake {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kLargestExtension = 1U << 20U;             // bytes of a pax header or a long name
constexpr std::uint64_t kLargestMember = std::uint64_t{1} << 40U;  // bytes; larger is damage
constexpr std::size_t kLongestName = 4096;

// Fields of a header (POSIX.1-2017, pax, table 4-14).
struct Field {
    std::size_t at;
    std::size_t length;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kMagic{257, 6}, kPrefix{345, 155};
constexpr std::size_t kType = 156;

std::string_view field(std::string_view block, Field which) { return block.substr(which.at, which.length); }

std::string text_of(std::string_view raw) { return std::string(raw.substr(0, raw.find('\0'))); }

// Octal digits, ended by a space or a zero byte; GNU writes what does not fit as a big-endian number with the first
// bit set.
std::optional<std::uint64_t> number_of(std::string_view raw) {
    const auto first = static_cast<unsigned char>(raw.front());
    if ((first & 0x80U) != 0) {
        if (first != 0x80U) return std::nullopt;  // negative, or more than 2^88
        std::uint64_t value = 0;
        for (const char c : raw.substr(1)) {
            if (value >> 56U != 0) return std::nullopt;
            value = value << 8U | static_cast<unsigned char>(c);
        }
        return value;
    }
    while (!raw.empty() && raw.front() == ' ') raw.remove_prefix(1);
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < raw.size() && raw[digits] >= '0' && raw[digits] <= '7'; ++digits) {
        value = value << 3U | static_cast<unsigned>(raw[digits] - '0');
    }
    if (digits == 0 && text_of(raw).empty()) return 0;
    if (digits == 0) return std::nullopt;
    if (digits < raw.size() && raw[digits] != '\0' && raw[digits] != ' ') return std::nullopt;
    return value;
}

bool checksum_is_right(std::string_view block) {
    const auto stored = number_of(field(block, kChecksum));
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const bool in_field = i >= kChecksum.at && i < kChecksum.at + kChecksum.length;
        sum += in_field ? static_cast<unsigned char>(' ') : static_cast<unsigned char>(block[i]);
    }
    return stored && *stored == sum;
}

std::string name_of(std::string_view block) {
    std::string name = text_of(field(block, kName));
    // GNU's own format has other things where ustar has the prefix.
    if (field(block, kMagic) != std::string_view("ustar\0", 6)) return name;
    const std::string prefix = text_of(field(block, kPrefix));
    return prefix.empty() ? name : prefix + "/" + name;
}

}  // namespace

bool looks_like_tar(std::string_view first) {
    if (first.size() < kBlock) return false;
    const std::string_view block = first.substr(0, kBlock);
    return field(block, kMagic).starts_with("ustar") && checksum_is_right(block);
}

std::unexpected<Error> TarReader::damaged(std::string why) const {
    return usage_error("damaged tar archive", name_, fmt::format("{} (at byte {})", why, at_));
}

// The next bytes, all of them; valid until the next call.
Result<std::string_view> TarReader::take(std::size_t bytes) {
    while (source_.unread().size() < bytes) {
        const auto more = source_.more(bytes);
        if (!more) return std::unexpected(more.error());
        if (!*more) return damaged("it ends in the middle");
    }
    const std::string_view taken = source_.unread().substr(0, bytes);
    source_.pass(bytes);
    at_ += bytes;
    return taken;
}

Result<void> TarReader::skip(std::uint64_t bytes) {
    while (bytes > 0) {
        const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, source_.unread().size()));
        source_.pass(now);
        bytes -= now;
        at_ += now;
        if (bytes == 0) break;
        const auto more = source_.more();
        if (!more) return std::unexpected(more.error());
        if (!*more) return damaged("it ends in the middle of a member");
    }
    return {};
}

Result<std::string_view> TarReader::content() { return take(static_cast<std::size_t>(std::exchange(content_, 0))); }

Result<std::string> TarReader::read_extension(std::uint64_t size) {
    if (size > kLargestExtension) return damaged(fmt::format("an extended header of {} bytes", size));
    const auto text = take(static_cast<std::size_t>(size));
    if (!text) return std::unexpected(text.error());
    std::string kept(*text);
    if (auto skipped = skip((kBlock - size % kBlock) % kBlock); !skipped) return std::unexpected(skipped.error());
    return kept;
}

// "LENGTH KEY=VALUE\n", the length being that of the whole record.
Result<void> TarReader::read_pax(std::string_view records, Extended& extended) const {
    while (!records.empty()) {
        const auto space = records.substr(0, 20).find(' ');
        const auto length = space == std::string_view::npos ? std::nullopt : parse_decimal(records.substr(0, space));
        if (!length || *length > records.size() || *length < space + 3) return damaged("a broken extended header");
        const std::string_view record = records.substr(space + 1, static_cast<std::size_t>(*length) - space - 1);
        const auto equals = record.find('=');
        if (equals == std::string_view::npos || record.back() != '\n') return damaged("a broken extended header");
        const std::string_view key = record.substr(0, equals);
        const std::string_view value = record.substr(equals + 1, record.size() - equals - 2);
        if (key == "path") extended.path = std::string(value);
        if (key == "size") {
            extended.size = parse_decimal(value);
            if (!extended.size) return damaged("a broken size in an extended header");
        }
        if (key.starts_with("GNU.sparse.")) return damaged("sparse files are not read");
        records.remove_prefix(static_cast<std::size_t>(*length));
    }
    return {};
}

Result<std::optional<TarMember>> TarReader::next() {
    if (ended_) return std::nullopt;
    if (auto skipped = skip(content_ + padding_); !skipped) return std::unexpected(skipped.error());
    content_ = padding_ = 0;
    Extended extended;
    for (;;) {
        if (source_.unread().empty()) {
            const auto more = source_.more(kBlock);
            if (!more) return std::unexpected(more.error());
            if (!*more) return damaged("it ends without its closing blocks");
        }
        const auto got = take(kBlock);
        if (!got) return std::unexpected(got.error());
        const std::string_view block = *got;
        if (std::ranges::all_of(block, [](char c) { return c == '\0'; })) {
            ended_ = true;
            return std::nullopt;
        }
        if (!checksum_is_right(block)) return damaged("the checksum of a header is wrong");
        const auto size = number_of(field(block, kSize));
        if (!size || *size > kLargestMember) return damaged("a member of absurd size");
        const char type = block[kType];
        if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
            const auto text = read_extension(*size);
            if (!text) return std::unexpected(text.error());
            if (type == 'L') extended.path = text_of(*text);
            if (type != 'x') continue;
            if (auto read = read_pax(*text, extended); !read) return std::unexpected(read.error());
            continue;
        }
        if (type == 'S') return damaged("sparse files are not read");
        const bool regular = type == '0' || type == '\0' || type == '7';
        TarMember member{extended.path.value_or(name_of(block)), extended.size.value_or(*size)};
        if (member.size > kLargestMember) return damaged("a member of absurd size");
        if (member.name.empty() || member.name.size() > kLongestName)
            return damaged("a member without a sensible name");
        extended = {};
        const std::uint64_t padding = (kBlock - member.size % kBlock) % kBlock;
        // An old folder is a regular file whose name ends in a slash.
        if (regular && !member.name.ends_with('/')) {
            content_ = member.size;
            padding_ = padding;
            return member;
        }
        if (type == '1' || type == '2') ++links_;
        // Links and devices have a size that is not followed by content (type 1 to 4, 6); folders have none.
        const bool has_content = regular || !(type >= '1' && type <= '6');
        if (has_content) {
            if (auto skipped = skip(member.size + padding); !skipped) return std::unexpected(skipped.error());
        }
    }
}

}  // namespace cpulevel::intake
