// Everything that can be said by environment variables, as a shell script. What is there already is kept in front where a
// variable is a list.
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/tool_view.h"

namespace cpulevel::level {

namespace {

// For inside single quotes.
std::string quoted(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c == '\'') {
            result += "'\\''";
        } else {
            result += c;
        }
    }
    return result;
}

}  // namespace

Result<Export> export_environment(const Level& level, const ExportOptions& options) {
    Export result;
    bool any = false;
    for (const Format& format : formats()) {
        if (!format.variable || find_tool(format.name, level.architecture) == nullptr) continue;
        any = true;
        const auto one = format.make(level, options);
        if (!one) return std::unexpected(one.error());
        for (const Setting& setting : one->environment) {
            const std::string kept =
                setting.separator == 0 ? "" : fmt::format("\"${{{0}:+${0}{1}}}\"", setting.name, setting.separator);
            result.text += fmt::format("export {}={}'{}'\n", setting.name, kept, quoted(setting.value));
            result.environment.push_back(setting);
        }
        for (const std::string& note : one->notes) result.notes.push_back(fmt::format("{}: {}", format.name, note));
        result.cannot_hide |= one->cannot_hide;
        result.cannot_show |= one->cannot_show;
    }
    if (!any) {
        return usage_error("the format has no meaning for " + std::string(arch::name(level.architecture)) + " levels", "env");
    }
    return result;
}

}  // namespace cpulevel::level
