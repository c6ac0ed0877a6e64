// Levels on the command line: an error, or a level that its own file format takes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "level/expression.h"
#include "level/level_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    for (const auto architecture : {arch::Architecture::x86_64, arch::Architecture::aarch64}) {
        const auto level = level::parse_level(text, architecture);
        if (!level) {
            if (level.error().message().empty()) std::abort();
        } else if (!level::from_json(level::to_json(*level), "fuzz")) {
            std::abort();
        }
    }
    return 0;
}
