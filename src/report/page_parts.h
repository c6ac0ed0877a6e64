// The template of the page, compiled in (tools/embed_page.py): text, and the slot that is filled after it.
#pragma once

#include <span>
#include <string_view>

namespace cpulevel::report {

struct PagePart {
    std::string_view text;
    std::string_view slot;  // empty: nothing comes between this text and the next
};

[[nodiscard]] std::span<const PagePart> page_parts();

}  // namespace cpulevel::report
