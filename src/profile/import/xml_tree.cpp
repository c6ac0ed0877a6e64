#include "profile/import/xml_tree.h"

#include <expat.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostElements = 1U << 18U;
constexpr std::size_t kMostText = 1U << 16U;  // bytes of one element; the longest real one is a UUID

struct ParserDelete {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};
using Parser = std::unique_ptr<std::remove_pointer_t<XML_Parser>, ParserDelete>;

struct Builder {
    XML_Parser parser = nullptr;
    XmlElement root;                   // a nameless one above the document's
    std::vector<XmlElement*> open;     // valid while its parent gets no other child, which is so until it is closed
    std::size_t elements = 0;
    std::string refusal;

    void refuse(std::string why) {
        if (refusal.empty()) refusal = std::move(why);
        XML_StopParser(parser, XML_FALSE);
    }
};

void start_element(void* data, const XML_Char* name, const XML_Char** attributes) {
    auto& builder = *static_cast<Builder*>(data);
    if (builder.open.size() > kDeepest) return builder.refuse("elements are nested absurdly deep");
    if (++builder.elements > kMostElements) return builder.refuse("absurdly many elements");
    XmlElement element;
    element.name = name;
    element.line = XML_GetCurrentLineNumber(builder.parser);
    for (; attributes[0] != nullptr; attributes += 2) element.attributes.emplace_back(attributes[0], attributes[1]);
    auto& siblings = builder.open.back()->children;
    siblings.push_back(std::move(element));
    builder.open.push_back(&siblings.back());
}

void end_element(void* data, const XML_Char* /*name*/) { static_cast<Builder*>(data)->open.pop_back(); }

void character_data(void* data, const XML_Char* text, int length) {
    auto& builder = *static_cast<Builder*>(data);
    std::string& into = builder.open.back()->text;
    into.append(text, static_cast<std::size_t>(length));
    if (into.size() > kMostText) builder.refuse("an absurdly long text");
}

void start_doctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    static_cast<Builder*>(data)->refuse("it has a document type (DTD), which libvirt's XML never has");
}

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
    const auto at = std::ranges::find(children, wanted, &XmlElement::name);
    return at == children.end() ? nullptr : &*at;
}

std::string_view XmlElement::attribute(std::string_view wanted) const {
    const auto at = std::ranges::find(attributes, wanted, [](const auto& pair) -> const std::string& { return pair.first; });
    return at == attributes.end() ? std::string_view{} : std::string_view(at->second);
}

Result<XmlElement> parse_xml(std::string_view text, const std::string& name) {
    const Parser parser(XML_ParserCreate("UTF-8"));
    if (!parser) return usage_error("cannot import", name, "no memory for an XML parser");
    Builder builder;
    builder.parser = parser.get();
    builder.open.push_back(&builder.root);
    XML_SetUserData(parser.get(), &builder);
    XML_SetElementHandler(parser.get(), start_element, end_element);
    XML_SetCharacterDataHandler(parser.get(), character_data);
    XML_SetStartDoctypeDeclHandler(parser.get(), start_doctype);
    constexpr std::size_t kPiece = 1U << 20U;  // expat takes an int
    XML_Status status = XML_STATUS_OK;
    do {
        const auto piece = text.substr(0, kPiece);
        text.remove_prefix(piece.size());
        status = XML_Parse(parser.get(), piece.data(), static_cast<int>(piece.size()), text.empty() ? 1 : 0);
    } while (status == XML_STATUS_OK && !text.empty());
    if (status != XML_STATUS_OK) {
        const auto line = XML_GetCurrentLineNumber(parser.get());
        return usage_error("cannot import", fmt::format("{}, line {}", name, line),
                           builder.refusal.empty() ? XML_ErrorString(XML_GetErrorCode(parser.get())) : builder.refusal);
    }
    if (builder.root.children.empty()) return usage_error("cannot import", name, "no XML element in it");
    return std::move(builder.root.children.front());
}

}  // namespace cpulevel::profile::import
