#include "fleet/shape.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/feature.h"
#include "profile/cpu_list.h"
#include "util/text.h"

namespace cpulevel::fleet {
namespace {

constexpr std::size_t kLongestWords = 1024;  // as the reader of profiles has it
constexpr std::size_t kLongestList = 65536;

// The bits of each register that are LIVE at (leaf, subleaf): EAX, EBX, ECX, EDX.
std::array<std::uint32_t, 4> live_bits(std::uint32_t leaf, std::uint32_t subleaf) {
    std::array<std::uint32_t, 4> bits{};
    for (const arch::CpuidField& field : arch::table(arch::Architecture::x86_64).fields()) {
        if (field.rule != arch::Rule::Live || field.leaf != leaf) continue;
        if (subleaf < field.first_subleaf || subleaf > field.last_subleaf) continue;
        const std::uint32_t upto = field.high >= 31 ? ~0U : (1U << (field.high + 1U)) - 1U;
        bits.at(static_cast<std::size_t>(field.reg)) |= upto & ~((1U << field.low) - 1U);
    }
    return bits;
}

// "0x" and one to eight hexadecimal digits.
std::optional<std::uint32_t> hex_word(std::string_view text) {
    if (text.size() < 3 || text.size() > 10 || text[0] != '0' || text[1] != 'x') return std::nullopt;
    std::uint32_t value = 0;
    for (const char c : text.substr(2)) {
        std::uint32_t digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<std::uint32_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<std::uint32_t>(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<std::uint32_t>(c - 'A') + 10;
        } else {
            return std::nullopt;
        }
        value = value << 4U | digit;
    }
    return value;
}

}  // namespace

// Walks JSON that is known to be valid, and collects the places.
class ShapeReader {
   public:
    explicit ShapeReader(std::string_view text) : text_(text) {}

    std::optional<Shape> run() {
        read_object([this](std::string_view key) { read_root(key); });
        if (!plain_) return std::nullopt;
        std::ranges::sort(shape_.spans_, {}, &Shape::Span::at);
        shape_.text_ = std::string(text_);
        shape_.several_groups_ = groups_ > 1;
        return std::move(shape_);
    }

   private:
    struct Text {
        std::size_t at = 0;
        std::size_t length = 0;
    };

    [[nodiscard]] char peek() {
        while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) != nullptr) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool take(char wanted) {
        if (peek() != wanted) return false;
        ++at_;
        return true;
    }

    Text read_string() {
        if (!take('"')) {
            plain_ = false;
            at_ = text_.size();
            return {};
        }
        const std::size_t start = at_;
        while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
        const std::size_t end = std::min(at_, text_.size());
        if (at_ < text_.size()) ++at_;
        return {start, end - start};
    }

    template <class Visit>
    void read_object(Visit&& visit) {
        if (!take('{') || take('}')) return;
        do {
            const Text key = read_string();
            (void)take(':');
            visit(text_.substr(key.at, key.length));
        } while (at_ < text_.size() && take(','));
        (void)take('}');
    }

    template <class Visit>
    void read_array(Visit&& visit) {
        if (!take('[') || take(']')) return;
        do {
            visit();
        } while (at_ < text_.size() && take(','));
        (void)take(']');
    }

    void skip() {
        switch (peek()) {
            case '{': return read_object([this](std::string_view) { skip(); });
            case '[': return read_array([this] { skip(); });
            case '"': (void)read_string(); return;
            default:
                while (at_ < text_.size() && std::strchr(",]} \t\r\n", text_[at_]) == nullptr) ++at_;
        }
    }

    void add(Shape::Place place) {
        const Text value = read_string();
        if (text_.substr(value.at, value.length).find('\\') != std::string_view::npos) plain_ = false;
        shape_.spans_.push_back({value.at, value.length, place, 0, 0});
    }

    void read_root(std::string_view key) {
        if (key == "name") return add(Shape::Place::name);
        if (key == "kernel" || key == "hypervisor") return add(Shape::Place::words);
        if (key != "cpus") return skip();
        read_array([this] {
            ++groups_;
            read_object([this](std::string_view inner) {
                if (inner == "cpus") return add(Shape::Place::cpu_list);
                if (inner != "cpuid") return skip();
                read_array([this] { read_leaf(); });
            });
        });
    }

    void read_leaf() {
        std::uint32_t leaf = 0;
        std::uint32_t subleaf = 0;
        std::array<Text, 4> registers{};
        read_object([&](std::string_view key) {
            constexpr std::array<std::string_view, 4> kNames{"eax", "ebx", "ecx", "edx"};
            const Text value = read_string();
            const std::uint32_t number = hex_word(text_.substr(value.at, value.length)).value_or(0);
            if (key == "leaf") leaf = number;
            if (key == "subleaf") subleaf = number;
            const auto name = std::ranges::find(kNames, key);
            if (name != kNames.end()) registers.at(static_cast<std::size_t>(name - kNames.begin())) = value;
        });
        const auto live = live_bits(leaf, subleaf);
        for (std::size_t i = 0; i < live.size(); ++i) {
            const Text& at = registers.at(i);
            const auto value = hex_word(text_.substr(at.at, at.length));
            if (live.at(i) == 0 || !value) continue;
            shape_.spans_.push_back({at.at, at.length, Shape::Place::word32, *value, live.at(i)});
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool plain_ = true;
    std::size_t groups_ = 0;
    Shape shape_;
};

std::optional<Shape> Shape::learn(std::string_view text) { return ShapeReader(text).run(); }

bool Shape::allowed(const Span& span, std::string_view learned, std::string_view value, bool several_groups) {
    switch (span.place) {
        case Place::name:
        case Place::words:
            // Bytes beyond ASCII could be no UTF-8; escapes could be anything. The reader in full decides.
            return value.size() <= kLongestWords && std::ranges::all_of(value, [](char c) {
                       return c >= 0x20 && c < 0x7f && c != '\\';
                   });
        case Place::cpu_list: {
            if (value == learned) return true;
            // A CPU must not be in two groups: not looked at here.
            if (several_groups || value.size() > kLongestList) return false;
            const auto cpus = profile::parse_cpu_list(value);
            return cpus && !cpus->empty();
        }
        case Place::word32: {
            const auto word = hex_word(value);
            return word && ((*word ^ span.value) & ~span.free) == 0;
        }
    }
    return false;
}

std::optional<std::string_view> Shape::match(std::string_view text) const {
    const std::string_view learned = text_;
    std::size_t from = 0;  // in the learned text
    std::size_t at = 0;    // in the other one
    std::string_view name;
    for (const Span& span : spans_) {
        const std::size_t length = span.at - from;
        if (text.size() - at < length || std::memcmp(text.data() + at, learned.data() + from, length) != 0) {
            return std::nullopt;
        }
        at += length;
        from = span.at + span.length;
        const void* end = std::memchr(text.data() + at, '"', text.size() - at);
        if (end == nullptr) return std::nullopt;
        const std::string_view value = text.substr(at, static_cast<std::size_t>(static_cast<const char*>(end) - text.data()) - at);
        if (!allowed(span, learned.substr(span.at, span.length), value, several_groups_)) return std::nullopt;
        if (span.place == Place::name) name = value;
        at += value.size();
    }
    if (text.substr(at) != learned.substr(from)) return std::nullopt;
    return name;
}

}  // namespace cpulevel::fleet
