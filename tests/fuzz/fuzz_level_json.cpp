// Our own levels, from anybody: an error, or a level that does not contradict itself and is read back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "level/level_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel::level;
    const auto level = from_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!level) {
        if (level.error().message().empty()) std::abort();
        return 0;
    }
    if (!contradiction(*level).empty()) std::abort();
    const auto text = to_json(*level);
    const auto again = from_json(text, "fuzz");
    if (!again || to_json(*again) != text) std::abort();
    return 0;
}
