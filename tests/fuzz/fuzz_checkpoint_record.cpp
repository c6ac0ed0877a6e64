// cpulevel.json, from anybody: an error, or a record that is read back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "checkpoint/criu_log.h"
#include "checkpoint/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel::checkpoint;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    // CRIU's log has names of files and programs in it, which are anybody's.
    for (const char c : explain(text).line) {
        if (c < ' ') std::abort();
    }
    const auto record = from_json(text, "fuzz");
    if (!record) {
        if (record.error().message().empty()) std::abort();
        return 0;
    }
    const auto written = to_json(*record);
    const auto again = from_json(written, "fuzz");
    if (!again || to_json(*again) != written) std::abort();
    return 0;
}
