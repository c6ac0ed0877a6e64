#include "cli/files.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "level/level_json.h"
#include "profile/import.h"
#include "profile/profile_json.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

// The value of "schema" at the top, or nothing where the text is not a JSON object with one.
std::optional<std::string> schema_of(const std::string& text) {
    const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    const auto schema = json.find("schema");
    if (schema == json.end() || !schema->is_string()) return std::nullopt;
    return schema->get<std::string>();
}

}  // namespace

Result<Document> parse_document(const std::string& text, const std::string& path) {
    const auto schema = schema_of(text);
    if (schema && schema->starts_with("cpulevel/level/")) {
        auto level = level::from_json(text, path);
        if (!level) return std::unexpected(level.error());
        return *std::move(level);
    }
    if (schema && schema->starts_with("cpulevel/") && !schema->starts_with("cpulevel/profile/")) {
        return usage_error("neither a profile nor a level", path, "its schema is \"" + printable(*schema) + "\"",
                           "this version reads cpulevel/profile/1 and cpulevel/level/1");
    }
    auto nodes = profile::import_text(text, path);
    if (!nodes) return std::unexpected(nodes.error());
    if (nodes->size() != 1) {
        return usage_error("one node is wanted", path, "the file describes " + std::to_string(nodes->size()),
                           "`cpulevel import " + printable(path) + " -o FOLDER` makes a profile of each");
    }
    return std::move(nodes->front());
}

Result<Document> read_document(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    return parse_document(*text, path == "-" ? "standard input" : path);
}

std::string json_text(const profile::NodeProfile& node) { return profile::to_json(node); }
std::string json_text(const level::Level& level) { return level::to_json(level); }

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const std::vector<std::string_view> views(candidates.begin(), candidates.end());
    const auto near = nearest(word, views, 2);
    if (near.empty()) return {};
    std::string text = "did you mean ";
    for (std::size_t i = 0; i < near.size(); ++i) text += std::string(i == 0 ? "" : " or ") + std::string(near[i]);
    return text + "?";
}

}  // namespace cpulevel::cli
