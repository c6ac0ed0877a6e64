// JSON: what another reader accepts, and nothing else, and the same in it.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "util/json_tree.h"

namespace {

using cpulevel::JsonTree;
using nlohmann::json;

json rebuilt(const JsonTree& tree, JsonTree::Index index) {
    const JsonTree::Value& value = tree[index];
    if (value.kind == JsonTree::Kind::string) return tree.string(index);
    if (value.kind != JsonTree::Kind::array && value.kind != JsonTree::Kind::object)
        return json::parse(tree.raw(index));
    const bool object = value.kind == JsonTree::Kind::object;
    json result = object ? json::object() : json::array();
    for (JsonTree::Index at = index + 1; at < value.next; at = tree[object ? at + 1 : at].next) {
        if (object) {
            result[tree.string(at)] = rebuilt(tree, at + 1);
        } else {
            result.push_back(rebuilt(tree, at));
        }
    }
    if (result.size() != value.count) std::abort();
    return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto tree = JsonTree::parse(text, {});
    // A zero byte ends the text for the other reader; here it is a byte that JSON does not have.
    if (text.find('\0') != std::string_view::npos) return 0;
    const json other = json::parse(text, nullptr, false);
    if (!tree) {
        // These two are refused, although they are JSON.
        const std::string& why = tree.error().why;
        if (!other.is_discarded() && why != "this key is there twice" && !why.starts_with("nested deeper"))
            std::abort();
        return 0;
    }
    // A number that no double can hold is JSON; the other reader cannot keep it.
    if (other.is_discarded()) {
        if (text.find_first_of("eE") == std::string_view::npos && size < 300) std::abort();
        return 0;
    }
    if (rebuilt(*tree, 0) != other) std::abort();
    for (JsonTree::Index index = 0; index < (*tree)[0].next && size < 200; ++index) (void)tree->raw(index);
    return 0;
}
