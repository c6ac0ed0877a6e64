#include "cli/knobs.h"

#include <cstdlib>

#include "cli/output.h"
#include "level/export/merge.h"
#include "profile/glibc_version.h"

namespace cpulevel::cli {

level::ExportOptions export_options_here() {
    level::ExportOptions options;
    if (const auto here = profile::glibc_version_here()) {
        // An older glibc than the data know of has the names of the oldest, or none.
        const auto version = level::parse_version(*here);
        const level::Tool* const glibc = level::find_tool("glibc", arch::Architecture::x86_64);
        if (version && glibc != nullptr && *version >= glibc->oldest) options.versions["glibc"] = *version;
    }
    return options;
}

Result<void> set_knobs(const level::Level& level) {
    const level::ExportOptions options = export_options_here();
    const auto knobs = level::export_level(level, "env", options);
    if (!knobs) return std::unexpected(knobs.error());
    for (const level::Setting& setting : knobs->environment) {
        const char* const theirs = ::getenv(setting.name.c_str());
        const level::Merged merged = level::merge(setting, theirs == nullptr ? "" : theirs, level, options);
        if (!merged.note.empty()) print_warning(merged.note);
        if (::setenv(setting.name.c_str(), merged.value.c_str(), 1) != 0) {
            return system_error(ErrorKind::machine, "cannot set an environment variable", setting.name);
        }
    }
    return {};
}

}  // namespace cpulevel::cli
