#include <functional>
#include <stdexcept>

#include "report/html.h"
#include "report/page_parts.h"
#include "report/sections.h"

namespace cpulevel::report {

std::string page(const Report& report, const Limits& limits) {
    const Prepared prepared = prepare(report, limits);
    const std::map<std::string_view, std::function<std::string()>> slots = {
        {"title", [&] { return "cpulevel: " + text(report.level.name); }},
        {"version", [&] { return text(report.version); }},
        {"made", [&] { return text(report.made); }},
        {"glance", [&] { return glance_section(prepared); }},
        {"types", [&] { return types_section(prepared); }},
        {"matrix", [&] { return matrix_section(prepared); }},
        {"pools", [&] { return pools_section(prepared); }},
        {"nodes", [&] { return nodes_section(prepared); }},
        {"notes", [&] { return notes_section(prepared); }},
        {"data", [&] { return data_json(prepared); }},
    };
    std::string result;
    for (const PagePart& part : page_parts()) {
        result += part.text;
        if (part.slot.empty()) continue;
        const auto slot = slots.find(part.slot);
        if (slot == slots.end()) throw std::logic_error("page.html has a slot that nobody fills: " + std::string(part.slot));
        result += slot->second();
    }
    return result;
}

}  // namespace cpulevel::report
