#include "images/image_file.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace cpulevel::images {
namespace {

// Before the file's own number in all files but the inventory, since version 1.1.
constexpr std::uint32_t kCommonMagic = 0x54564319, kServiceMagic = 0x55105940;

std::optional<std::uint32_t> take_number(std::string_view& text) {
    std::uint32_t value = 0;
    if (text.size() < sizeof value) return std::nullopt;
    for (unsigned i = 0; i < sizeof value; ++i) value |= std::uint32_t{static_cast<unsigned char>(text[i])} << (8 * i);
    text.remove_prefix(sizeof value);
    return value;
}

std::string_view kind_of(std::uint32_t magic) {
    static constexpr std::array<std::pair<std::uint32_t, std::string_view>, 8> kKinds{
        {{kInventoryMagic, "an inventory"},
         {kTreeMagic, "a process tree"},
         {kCoreMagic, "the registers of a thread"},
         {kMemoryMagic, "a memory description"},
         {kFilesMagic, "a list of files"},
         {kRegularFilesMagic, "a list of files"},
         {kPageMapMagic, "a page map"},
         {kCpuInfoMagic, "a CPU description"}}};
    for (const auto& [number, name] : kKinds) {
        if (number == magic) return name;
    }
    return {};
}

}  // namespace

Result<std::vector<std::string_view>> messages_of(std::string_view file, std::uint32_t magic, const std::string& path) {
    std::string_view rest = file;
    const auto wrong = [&](std::string why) { return usage_error("not a CRIU image of this kind", path, std::move(why)); };
    auto found = take_number(rest);
    if (found && (*found == kCommonMagic || *found == kServiceMagic)) found = take_number(rest);
    if (!found) return wrong("it ends within its first bytes");
    if (*found != magic) {
        const std::string_view kind = kind_of(*found);
        return wrong(kind.empty() ? fmt::format("it begins with {:#010x}, which this version does not know", *found)
                                  : fmt::format("it is {}, where {} was expected", kind, kind_of(magic)));
    }
    std::vector<std::string_view> messages;
    while (!rest.empty()) {
        const std::size_t at = file.size() - rest.size();
        const auto length = take_number(rest);
        if (!length || *length > rest.size()) {
            return usage_error("the image is damaged or cut", path,
                               fmt::format("byte {}: the message that begins there is longer than what is left", at));
        }
        messages.push_back(rest.substr(0, *length));
        rest.remove_prefix(*length);
    }
    return messages;
}

}  // namespace cpulevel::images
