// Recognising the next node of a known type without reading it as JSON.
//
// A profile has some 20 kilobytes, and the profiles of a hundred thousand nodes of a dozen types differ in a few dozen
// bytes each: the name, the kernel's release, the numbers of CPUs, APIC ids. Reading one takes a third of a
// millisecond. So the text of the first profile of a kind is kept as a shape: its bytes, with the places of the values
// that make no type (types.h). A text that has the same bytes everywhere else, and at those places a value that is
// allowed there, is a valid profile of the same type. There is no hash that could collide: all bytes are compared. A
// text that fits no shape is read in full, so a shape that does not fit costs time, never truth.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cpulevel::fleet {

class Shape {
   public:
    // Of a text that profile::from_json has accepted. Nothing where it is not written plainly (escapes in a value that
    // may differ).
    [[nodiscard]] static std::optional<Shape> learn(std::string_view text);

    // The node's name, a part of `text`, if the text is a valid profile of the same type as the one learned from.
    [[nodiscard]] std::optional<std::string_view> match(std::string_view text) const;

   private:
    enum class Place : std::uint8_t { name, words, cpu_list, word32 };
    struct Span {
        std::size_t at = 0;      // in the learned text: the first byte within the quotation marks
        std::size_t length = 0;
        Place place = Place::words;
        std::uint32_t value = 0;  // word32: the learned value, and the bits that may differ
        std::uint32_t free = 0;
    };
    friend class ShapeReader;

    [[nodiscard]] static bool allowed(const Span& span, std::string_view learned, std::string_view value,
                                      bool several_groups);

    std::string text_;
    std::vector<Span> spans_;  // in the order of their places
    bool several_groups_ = false;
};

}  // namespace cpulevel::fleet
