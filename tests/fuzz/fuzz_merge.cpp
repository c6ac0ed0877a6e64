// `run --knobs`: a variable as a user has it, and ours on top. Whatever is there: the result is not less than ours, and
// merging again changes nothing in what it hides.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "level/export/merge.h"
#include "level/expression.h"

namespace {

using namespace cpulevel;

const level::Level& v2() {
    static const level::Level level = *level::parse_level("x86-64-v2", arch::Architecture::x86_64);
    return level;
}

const std::vector<level::Setting>& ours() {
    static const std::vector<level::Setting> settings = level::export_level(v2(), "env", {})->environment;
    return settings;
}

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

// The first byte chooses the variable.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const level::Setting& setting = ours()[data[0] % ours().size()];
    const std::string_view theirs{reinterpret_cast<const char*>(data + 1), size - 1};
    const level::Merged merged = level::merge(setting, theirs, v2(), {});
    require(!merged.value.empty());
    if (setting.name == "OPENSSL_ia32cap") {
        // What one merge let through the next lets through, and no more.
        require(level::merge(setting, merged.value, v2(), {}).value == merged.value);
    } else if (setting.name == "GLIBC_TUNABLES") {
        const std::string list = setting.value.substr(setting.value.find('=') + 1);
        require(merged.value.find(list) != std::string::npos);
    } else if (setting.name == "JAVA_TOOL_OPTIONS") {
        require(merged.value.find("-XX:-UseAES") != std::string::npos && merged.value.starts_with(theirs));
    } else if (setting.separator != 0) {
        require(merged.value.starts_with(theirs) && merged.value.ends_with(setting.value));
    }
    return 0;
}
