// A message as its fields, for messages with few of them: visited in their order, with a check of the wire type.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "util/error.h"
#include "util/protobuf_wire.h"

namespace cpulevel::images {

// Calls visit(field) -> Result<void> for each field.
template <class Visit>
Result<void> for_each_field(std::string_view message, Visit&& visit) {
    WireReader reader(message);
    for (;;) {
        auto field = reader.next();
        if (!field) return std::unexpected(field.error());
        if (!*field) return {};
        if (auto visited = visit(**field); !visited) return visited;
    }
}

// A scalar: varint or fixed; a message or string in its place is a damaged file.
[[nodiscard]] inline Result<std::uint64_t> number_of(const WireField& field) {
    if (field.type == WireType::bytes) return usage_error("the image is damaged", fmt::format("field {}", field.number), "a number was expected");
    return field.value;
}

[[nodiscard]] inline Result<std::string_view> bytes_of(const WireField& field) {
    if (field.type != WireType::bytes) return usage_error("the image is damaged", fmt::format("field {}", field.number), "a text or message was expected");
    return field.bytes;
}

// For use inside of a visit: stores the value, hands an error on.
template <class T>
Result<void> store(const WireField& field, T& into) {
    const auto value = number_of(field);
    if (!value) return std::unexpected(value.error());
    into = static_cast<T>(*value);
    return {};
}

}  // namespace cpulevel::images
