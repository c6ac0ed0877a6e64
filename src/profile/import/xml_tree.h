// A small XML document as a tree, read by expat from whoever wrote it. Document types are refused, so no entity can
// be declared, expanded or fetched; depth, elements and attributes are bounded.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/error.h"

namespace cpulevel::profile::import {

struct XmlElement {
    std::string name;
    std::vector<std::pair<std::string, std::string>> attributes;
    std::string text;  // of this element alone, trimmed by whoever reads it
    std::vector<XmlElement> children;
    std::size_t line = 0;

    [[nodiscard]] const XmlElement* child(std::string_view wanted) const;  // the first; null if there is none
    [[nodiscard]] std::string_view attribute(std::string_view wanted) const;  // empty if there is none
};

[[nodiscard]] Result<XmlElement> parse_xml(std::string_view text, const std::string& name);

}  // namespace cpulevel::profile::import
