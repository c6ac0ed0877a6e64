// Tar archives, plain or packed: an error or members, never more bytes than there are, and an end.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "intake/byte_source.h"
#include "intake/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel::intake;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const bool packed = text.starts_with("\x1f\x8b");
    auto source = from_memory(text);
    if (packed) source = from_gzip(std::move(source), "fuzz");
    TarReader tar(*source, "fuzz", size % 2 == 0 ? ChunkedSource::kUsual : 700);
    std::size_t bytes = 0;
    for (int members = 0; members < 1000; ++members) {
        const auto next = tar.next();
        if (!next || !*next) return 0;
        if ((*next)->size > (1U << 20U)) continue;
        const auto content = tar.content();
        if (!content) return 0;
        if (content->size() != (*next)->size) std::abort();
        bytes += content->size();
        if (!packed && bytes > size) std::abort();
    }
    return 0;
}
