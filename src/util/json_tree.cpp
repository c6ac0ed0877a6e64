#include "util/json_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "util/json_string.h"
#include "util/text.h"

namespace cpulevel {
namespace {

constexpr std::size_t kPlaceLength = 60;  // of a key, in a path

}  // namespace

class JsonTreeParser {
   public:
    JsonTreeParser(std::string_view text, const JsonTree::Limits& limits) : text_(text), limits_(limits) {
        tree_.text_ = text;
    }

    std::expected<JsonTree, JsonTree::Complaint> run() {
        constexpr std::string_view kMark = "\xef\xbb\xbf";
        if (text_.size() >= std::numeric_limits<std::uint32_t>::max())
            return std::unexpected(JsonTree::Complaint{"", "too large"});
        if (text_.starts_with(kMark)) at_ = kMark.size();
        // Values can be as short as two bytes; in our files they have more than sixteen, with what is around them.
        tree_.values_.reserve(text_.size() / 16 + 8);
        if (read_value()) {
            skip_space();
            if (at_ == text_.size()) return std::move(tree_);
            (void)syntax("expected nothing more");
        }
        return std::unexpected(std::move(complaint_));
    }

   private:
    using Kind = JsonTree::Kind;
    using Index = JsonTree::Index;
    struct Frame {
        Index container;
        Index key;  // of an object: the last one
    };

    bool refuse(std::string place, std::string why) {
        complaint_ = {std::move(place), std::move(why)};
        return false;
    }
    bool syntax(std::string_view why) {
        const std::string_view before = text_.substr(0, at_);
        const auto last = before.rfind('\n');
        const auto column = before.size() - (last == std::string_view::npos ? 0 : last + 1);
        return refuse(fmt::format("line {}, column {}", std::ranges::count(before, '\n') + 1, column + 1),
                      at_ < text_.size() ? std::string(why) : fmt::format("{}, but it ends here", why));
    }

    [[nodiscard]] std::string path() const {
        std::string text;
        for (const Frame& frame : frames_) {
            const JsonTree::Value& container = tree_.values_[frame.container];
            text = container.kind == Kind::array ? fmt::format("{}[{}]", text, container.count)
                   : frame.key == 0              ? text
                                                 : JsonTree::step(text, tree_.string(frame.key));
        }
        return text;
    }

    void skip_space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
            ++at_;
    }
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    bool begin(Kind kind, Index& index) {
        if (tree_.values_.size() >= limits_.values) return refuse(path(), "too many values");
        index = static_cast<Index>(tree_.values_.size());
        tree_.values_.push_back({.kind = kind, .begin = static_cast<std::uint32_t>(at_), .next = index + 1});
        return true;
    }
    void end(Index index) {
        tree_.values_[index].end = static_cast<std::uint32_t>(at_);
        tree_.values_[index].next = static_cast<Index>(tree_.values_.size());
    }

    bool read_value() {
        skip_space();
        switch (peek()) {
            case '{': return read_object();
            case '[': return read_array();
            case '"': {
                Index index = 0;
                return read_string(index);
            }
            case 't': return read_word("true", Kind::boolean);
            case 'f': return read_word("false", Kind::boolean);
            case 'n': return read_word("null", Kind::null);
            default: return read_number();
        }
    }

    bool read_word(std::string_view word, Kind kind) {
        if (!text_.substr(at_).starts_with(word)) return syntax("expected a value");
        Index index = 0;
        if (!begin(kind, index)) return false;
        at_ += word.size();
        end(index);
        return true;
    }

    bool digits() {
        const std::size_t before = at_;
        while (peek() >= '0' && peek() <= '9') ++at_;
        return at_ > before || syntax(before > 0 && text_[before - 1] != ' ' ? "expected a digit" : "expected a value");
    }

    bool read_number() {
        if (peek() != '-' && (peek() < '0' || peek() > '9')) return syntax("expected a value");
        Index index = 0;
        if (!begin(Kind::integer, index)) return false;
        if (peek() == '-') {
            tree_.values_[index].kind = Kind::other_number;
            ++at_;
        }
        if (peek() == '0') {
            ++at_;
        } else if (!digits()) {
            return false;
        }
        if (peek() == '.') {
            tree_.values_[index].kind = Kind::other_number;
            ++at_;
            if (!digits()) return false;
        }
        if (peek() == 'e' || peek() == 'E') {
            tree_.values_[index].kind = Kind::other_number;
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            if (!digits()) return false;
        }
        end(index);
        return true;
    }

    // Most strings have nothing of note: that is found out for all bytes at once.
    static bool is_plain(std::string_view content) {
        bool special = false;
        for (const char c : content) special |= static_cast<unsigned char>(c - 0x20) >= 0x60 || c == '\\';
        return !special;
    }

    bool read_string(Index& index) {
        if (peek() != '"') return syntax("expected a key in quotation marks");
        const std::size_t mark = at_;
        ++at_;
        if (!begin(Kind::string, index)) return false;
        const void* quote = std::memchr(text_.data() + at_, '"', text_.size() - at_);
        const auto until =
            quote == nullptr ? text_.size() : static_cast<std::size_t>(static_cast<const char*>(quote) - text_.data());
        if (quote != nullptr && is_plain(text_.substr(at_, until - at_))) {
            at_ = until;
            end(index);
            ++at_;
            return true;
        }
        while (at_ < text_.size() && text_[at_] != '"') {
            if (static_cast<unsigned char>(text_[at_]) < 0x20) return syntax("a control character in a string");
            if (text_[at_] == '\\') {
                tree_.values_[index].plain = false;
                const std::size_t length = json_escape_at(text_.substr(at_)).length;
                if (length == 0) return syntax("a backslash that means nothing");
                at_ += length;
                continue;
            }
            const std::size_t length = utf8_length(text_.substr(at_));
            if (length == 0) return syntax("bytes that are not UTF-8");
            at_ += length;
        }
        if (at_ == text_.size()) {
            at_ = mark;
            return syntax("a string without an end");
        }
        end(index);
        ++at_;
        return true;
    }

    bool open(Kind kind, Index& index) {
        if (frames_.size() >= limits_.depth)
            return refuse(path(), fmt::format("nested deeper than {} levels", limits_.depth));
        if (!begin(kind, index)) return false;
        ++at_;
        frames_.push_back({index, 0});
        skip_space();
        return true;
    }
    bool close(Index index) {
        ++at_;
        end(index);
        frames_.pop_back();
        return true;
    }

    bool read_array() {
        Index index = 0;
        if (!open(Kind::array, index)) return false;
        if (peek() == ']') return close(index);
        for (;;) {
            if (!read_value()) return false;
            ++tree_.values_[index].count;
            skip_space();
            if (peek() == ']') return close(index);
            if (peek() != ',') return syntax("expected a comma or the list's end");
            ++at_;
        }
    }

    bool read_object() {
        Index index = 0;
        if (!open(Kind::object, index)) return false;
        if (peek() == '}') return close(index);
        for (;;) {
            skip_space();
            Index key = 0;
            if (!read_string(key)) return false;
            frames_.back().key = key;
            skip_space();
            if (peek() != ':') return syntax("expected a colon after the key");
            ++at_;
            if (!read_value()) return false;
            ++tree_.values_[index].count;
            skip_space();
            if (peek() == '}') return keys_differ(index) && close(index);
            if (peek() != ',') return syntax("expected a comma or the object's end");
            ++at_;
        }
    }

    bool keys_differ(Index object) {
        const std::uint32_t count = tree_.values_[object].count;
        constexpr std::uint32_t kFew = 12;
        Index again = 0;
        if (count <= kFew) {
            std::array<Index, kFew> keys{};
            std::uint32_t have = 0;
            for (Index key = object + 1; have < count; key = tree_.values_[key + 1].next) {
                for (std::uint32_t i = 0; i < have && again == 0; ++i) {
                    if (same(keys.at(i), key)) again = key;
                }
                keys.at(have++) = key;
            }
        } else {
            std::vector<std::pair<std::string, Index>> keys;
            keys.reserve(count);
            for (Index key = object + 1; keys.size() < count; key = tree_.values_[key + 1].next)
                keys.emplace_back(tree_.string(key), key);
            std::ranges::sort(keys);
            const auto twice = std::ranges::adjacent_find(keys, {}, &std::pair<std::string, Index>::first);
            if (twice != keys.end()) again = std::next(twice)->second;
        }
        if (again == 0) return true;
        frames_.back().key = again;
        return refuse(path(), "this key is there twice");
    }

    [[nodiscard]] bool same(Index a, Index b) const {
        const JsonTree::Value &left = tree_.values_[a], &right = tree_.values_[b];
        if (left.plain && right.plain) {
            return text_.substr(left.begin, left.end - left.begin) ==
                   text_.substr(right.begin, right.end - right.begin);
        }
        return tree_.string(a) == tree_.string(b);
    }

    std::string_view text_;
    JsonTree::Limits limits_;
    std::size_t at_ = 0;
    JsonTree tree_;
    std::vector<Frame> frames_;
    JsonTree::Complaint complaint_;
};

std::expected<JsonTree, JsonTree::Complaint> JsonTree::parse(std::string_view text, const Limits& limits) {
    return JsonTreeParser(text, limits).run();
}

std::string_view JsonTree::raw(Index index) const {
    const Value& value = values_[index];
    const std::uint32_t mark = value.kind == Kind::string ? 1 : 0;
    return text_.substr(value.begin - mark, value.end - value.begin + 2 * mark);
}

std::string JsonTree::string(Index index) const {
    const Value& value = values_[index];
    const std::string_view bytes = text_.substr(value.begin, value.end - value.begin);
    return value.plain ? std::string(bytes) : json_unescaped(bytes);
}

bool JsonTree::equals(Index string, std::string_view wanted) const {
    const Value& value = values_[string];
    if (!value.plain) return json_unescaped(text_.substr(value.begin, value.end - value.begin)) == wanted;
    return text_.substr(value.begin, value.end - value.begin) == wanted;
}

std::optional<std::uint64_t> JsonTree::integer(Index index) const {
    const Value& value = values_[index];
    if (value.kind != Kind::integer) return std::nullopt;
    return parse_decimal(text_.substr(value.begin, value.end - value.begin));
}

std::optional<JsonTree::Index> JsonTree::find(Index object, std::string_view key) const {
    Index at = object + 1;
    for (std::uint32_t pair = 0; pair < values_[object].count; ++pair) {
        if (equals(at, key)) return at + 1;
        at = values_[at + 1].next;
    }
    return std::nullopt;
}

std::string JsonTree::step(const std::string& parent, std::string_view key) {
    return parent.empty() ? printable(key, kPlaceLength) : parent + "." + printable(key, kPlaceLength);
}

std::string JsonTree::path(Index index) const {
    std::string text;
    Index container = 0;
    while (container != index) {
        const bool object = values_[container].kind == Kind::object;
        Index at = container + 1;
        for (std::uint32_t number = 0;; ++number) {
            const Index value = object ? at + 1 : at;
            if (index < values_[value].next) {
                text = object ? step(text, string(at)) : fmt::format("{}[{}]", text, number);
                container = value;
                break;
            }
            at = values_[value].next;
        }
    }
    return text;
}

}  // namespace cpulevel
