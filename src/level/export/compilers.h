// What gcc and clang share: -march=BASE, then what the base has too much (-mno-X) and what it lacks (-mX, or +X).
#pragma once

#include <string_view>

#include "level/export/export.h"

namespace cpulevel::level {

[[nodiscard]] Result<Export> export_compiler(std::string_view compiler, const Level& level, const ExportOptions& options);

}  // namespace cpulevel::level
