// JSON (RFC 8259) read strictly, into one flat list of values that point into the text: nothing is copied, and any part
// of the text can be taken as it stands. Duplicate keys, broken UTF-8, too much depth and too many values are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cpulevel {

class JsonTree {
   public:
    enum class Kind : std::uint8_t { null, boolean, integer, other_number, string, array, object };
    using Index = std::uint32_t;
    struct Value {
        Kind kind = Kind::null;
        bool plain = true;                 // a string without escapes: its bytes are those of the text
        std::uint32_t begin = 0, end = 0;  // in the text; of a string, within the quotation marks
        Index next = 0;                    // of the first value that is neither this one nor in it
        std::uint32_t count = 0;           // array: values; object: pairs
    };
    struct Complaint {
        std::string place;  // "line 3, column 10", or a path: "cpus[1].x"
        std::string why;
    };
    struct Limits {
        std::size_t depth = 12;
        std::size_t values = std::size_t{2} << 20U;  // of any kind, keys among them
    };

    // The text must outlive the tree.
    [[nodiscard]] static std::expected<JsonTree, Complaint> parse(std::string_view text, const Limits& limits);

    // The root is 0. In an array, the first item is index + 1, the following ones are each other's `next`; in an
    // object, keys (strings) and values take turns in the same way.
    [[nodiscard]] const Value& operator[](Index index) const { return values_[index]; }
    // As it stands in the text, with the quotation marks of a string.
    [[nodiscard]] std::string_view raw(Index index) const;
    [[nodiscard]] std::string string(Index index) const;
    [[nodiscard]] bool equals(Index string, std::string_view wanted) const;
    [[nodiscard]] std::optional<std::uint64_t> integer(Index index) const;  // from 0, if it fits
    [[nodiscard]] bool boolean(Index index) const { return text_[values_[index].begin] == 't'; }
    // The value of a key.
    [[nodiscard]] std::optional<Index> find(Index object, std::string_view key) const;
    // "cpus[0].cpuid[3].eax"
    [[nodiscard]] std::string path(Index index) const;
    // The path of a part of `parent`, which is an object's.
    [[nodiscard]] static std::string step(const std::string& parent, std::string_view key);

   private:
    friend class JsonTreeParser;
    std::string_view text_;
    std::vector<Value> values_;
};

}  // namespace cpulevel
