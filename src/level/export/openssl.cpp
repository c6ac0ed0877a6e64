// OPENSSL_ia32cap: up to five words of 64 bits, each two registers of CPUID, with some bits of OpenSSL's own in between
// (which are kept). "~MASK" clears bits of what the CPU says; a bare value replaces it. OPENSSL_armcap has values only.
#include <fmt/format.h>

#include "level/export/format.h"
#include "level/export/tool_view.h"
#include "util/text.h"

namespace cpulevel::level {

Result<Export> export_openssl(const Level& level, const ExportOptions& options) {
    const auto view = ToolView::open("openssl", level, options);
    if (!view) return std::unexpected(view.error());
    Export result = view->hiding();
    const bool absolute = options.absolute || !view->is_x86();
    std::vector<std::string> words;
    for (const ToolView::Word& word : view->words()) {
        words.push_back(absolute ? fmt::format("{:#x}", word.shown) : fmt::format("~{:#x}", word.known & ~word.shown));
    }
    set_variable(result, view->is_x86() ? "OPENSSL_ia32cap" : "OPENSSL_armcap", join(words, ":"));
    if (absolute) {
        result.notes.emplace_back("values are taken as they are: right only on machines that have the level");
    }
    return result;
}

}  // namespace cpulevel::level
