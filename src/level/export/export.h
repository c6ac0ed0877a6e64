// A level in the words of other tools. Each format is a file of this folder, entered in formats(); what a tool calls a
// feature is data (tool.h). Pure: text in memory, nothing is run or written here.
//
// Two promises: an export never shows (turns on, or lets a tool use where it could be told not to) what the level
// hides; and what a tool cannot be told is listed, not passed over.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "level/export/tool.h"
#include "level/level.h"
#include "util/error.h"

namespace cpulevel::level {

// An environment variable. `separator`: how a value is added to one that is there; 0 where it has to replace it.
struct Setting {
    std::string name;
    std::string value;
    char separator = 0;
};

struct Export {
    std::string text;  // for standard output or a file; ends with a newline
    std::vector<Setting> environment;      // the variables, where the format is made of them
    arch::FeatureSet cannot_hide;  // hidden by the level, looked at by the tool, and the tool has no name for it
    arch::FeatureSet cannot_show;  // shown by the level, and the tool has no name for it
    arch::FeatureSet for_kernel;   // not in the level, shown to a guest because its kernel needs it
    std::vector<std::string> notes;  // what a user has to know, for people
    Version version;  // of the tool, whose names were used; none where that makes no difference
};

struct ExportOptions {
    std::map<std::string, Version, std::less<>> versions;  // by tool name; absent: Tool::usual
    bool absolute = false;  // OpenSSL: values, not masks
};

struct Format {
    std::string_view name;     // "glibc", as --to takes it
    std::string_view summary;  // one line for people
    bool variable = false;     // environment variables: part of "env"
    Result<Export> (*make)(const Level& level, const ExportOptions& options) = nullptr;
};

[[nodiscard]] std::span<const Format> formats();
[[nodiscard]] const Format* find_format(std::string_view name);
// Those that mean something for the architecture.
[[nodiscard]] std::vector<std::string_view> formats_for(arch::Architecture architecture);

// Errors: an unknown format or tool version; a format that has no meaning for the level's architecture; a level that
// the tool cannot be told without showing more (kind refused).
[[nodiscard]] Result<Export> export_level(const Level& level, std::string_view format, const ExportOptions& options);

}  // namespace cpulevel::level
