// What kubectl and etcdctl print, and lists of node names: whatever comes back can be written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "intake/containers.h"
#include "util/name_ranges.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)cpulevel::intake::unpack(text, "fuzz");
    const auto names = cpulevel::from_ranges(text, 10000);
    if (!names) return 0;
    std::size_t back = 0;
    for (const std::string& one : cpulevel::to_ranges(*names)) {
        const auto some = cpulevel::from_ranges(one, 10000);
        if (!some) std::abort();
        back += some->size();
    }
    if (back > names->size() || (back == 0) != names->empty()) std::abort();
    return 0;
}
