// CRIU's images, whose files come from anywhere: no crash, no overlap accepted, every error has a text. The first byte
// chooses the kind of file.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "images/image_file.h"
#include "images/messages.h"
#include "images/pages.h"

using namespace cpulevel;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

template <class T>
void look(const Result<T>& result) {
    require(result || !result.error().message().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
    constexpr std::uint32_t kinds[] = {images::kInventoryMagic, images::kTreeMagic, images::kCoreMagic, images::kMemoryMagic,
                                       images::kFilesMagic, images::kRegularFilesMagic, images::kPageMapMagic};
    const std::uint32_t kind = kinds[data[0] % std::size(kinds)];
    if (kind == images::kPageMapMagic) {
        const auto map = images::PageMap::parse(file, "pagemap", 4096);
        look(map);
        if (map) {
            for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0x7ffd0000}, ~std::uint64_t{0}}) {
                const auto* run = map->find(address);
                require(run == nullptr || (run->start <= address && address < run->end));
            }
        }
        return 0;
    }
    const auto messages = images::messages_of(file, kind, "image");
    look(messages);
    if (!messages) return 0;
    for (const std::string_view message : *messages) {
        switch (kind) {
            case images::kInventoryMagic: look(images::parse_inventory(message)); break;
            case images::kTreeMagic: look(images::parse_tree_entry(message)); break;
            case images::kCoreMagic: look(images::parse_core(message)); break;
            case images::kMemoryMagic: {
                const auto memory = images::parse_memory(message);
                look(memory);
                if (!memory) break;
                for (std::size_t i = 0; i < memory->areas.size(); ++i) {
                    require(memory->areas[i].start < memory->areas[i].end);
                    require(i == 0 || memory->areas[i - 1].end <= memory->areas[i].start);
                }
                break;
            }
            default: look(images::parse_file(message, kind == images::kRegularFilesMagic)); break;
        }
    }
    return 0;
}
