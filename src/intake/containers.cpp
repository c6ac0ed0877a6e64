#include "intake/containers.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "util/text.h"

namespace cpulevel::intake {
namespace {

using nlohmann::json;

constexpr std::size_t kMostContained = 10'000'000;

std::unexpected<Error> refuse(const std::string& name, std::string why, std::string hint = {}) {
    return usage_error("cannot read the nodes in", name, std::move(why), std::move(hint));
}

std::string string_at(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

// RFC 4648, with padding.
std::optional<std::string> decode_base64(std::string_view text) {
    static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static constexpr auto kValues = [] {
        std::array<std::int8_t, 256> values{};
        values.fill(-1);
        for (std::size_t i = 0; i < kDigits.size(); ++i) {
            values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::int8_t>(i);
        }
        return values;
    }();
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t at = 0; at < text.size(); at += 4) {
        const bool last = at + 4 == text.size();
        const std::size_t padding = !last || text[at + 3] != '=' ? 0U : text[at + 2] != '=' ? 1U : 2U;
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const std::int8_t value = i < 4 - padding ? kValues[static_cast<unsigned char>(text[at + i])] : std::int8_t{0};
            if (value < 0) return std::nullopt;
            bits = bits << 6U | static_cast<std::uint32_t>(value);
        }
        for (std::size_t i = 0; i < 3 - padding; ++i) bytes += static_cast<char>(bits >> (16 - 8 * i) & 0xffU);
    }
    return bytes;
}

// RFC 7468. Kubernetes puts a ConfigMap with the cluster's certificate (kube-root-ca.crt) into every namespace; service
// meshes and OpenShift add theirs. They describe no node, and nobody can take them away.
bool is_certificate(std::string_view text) {
    text = trim(text);
    return text.starts_with("-----BEGIN CERTIFICATE-----") && text.ends_with("-----END CERTIFICATE-----");
}

void add_config_map(const json& item, std::vector<Result<Contained>>& found) {
    const auto metadata = item.find("metadata");
    std::string name = "configmap";
    if (metadata != item.end() && metadata->is_object()) {
        name = string_at(*metadata, "namespace");
        name += (name.empty() ? "" : "/") + string_at(*metadata, "name");
    }
    const auto data = item.find("data");
    if (data == item.end() || !data->is_object()) return;
    for (const auto& [key, value] : data->items()) {
        if (!value.is_string() || is_certificate(value.get_ref<const std::string&>())) continue;
        found.push_back(Contained{fmt::format("configmap {}: {}", name, key), value.get<std::string>()});
    }
}

Result<Unpacked> config_maps(const json& root, const std::string& name) {
    Unpacked found;
    if (string_at(root, "kind") == "ConfigMap") {
        add_config_map(root, found.entries);
    } else {
        for (const json& item : root.at("items")) add_config_map(item, found.entries);
    }
    if (found.entries.empty()) return refuse(name, "the ConfigMaps hold no data, or certificates only");
    return found;
}

// {"header": ..., "kvs": [{"key": BASE64, "value": BASE64, ...}], "count": N}
Result<Contained> etcd_entry(const json& entry, std::size_t number, const std::string& name) {
    if (!entry.is_object()) return refuse(name, fmt::format("entry {} of \"kvs\" is no object", number));
    const auto key = decode_base64(string_at(entry, "key"));
    auto value = decode_base64(string_at(entry, "value"));
    if (!key || !value) return refuse(name, fmt::format("entry {} of \"kvs\" is not base64", number));
    return Contained{printable(*key), *std::move(value)};
}

Result<Unpacked> etcd_json(const json& root, const std::string& name) {
    Unpacked found;
    for (const json& entry : root.at("kvs")) found.entries.push_back(etcd_entry(entry, found.entries.size(), name));
    if (found.entries.empty()) return refuse(name, "no key is in it", "does the prefix exist?");
    return found;
}

// The length of the JSON object that begins the text; nothing where it does not end.
std::optional<std::size_t> object_length(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string) {
            if (c == '\\') ++at;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return std::nullopt;
            if (--depth == 0) return at + 1;
        }
    }
    return std::nullopt;
}

// A line with the key, then the value; with values that are JSON it is clear where each ends.
bool looks_like_plain_etcd(std::string_view text) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos || end == 0 || end > 4096) return false;
    const std::string_view key = text.substr(0, end);
    return key.find_first_of(" \t{}\":,") == std::string_view::npos && text.substr(end + 1).starts_with('{');
}

// Where a value ends is known from the value alone; so behind one that is damaged nothing can be found.
Result<Unpacked> etcd_plain(std::string_view text, const std::string& name) {
    Unpacked found;
    const auto cut_here = [&](std::unexpected<Error> error) {
        found.entries.emplace_back(std::move(error));
        found.cut = true;
        return std::move(found);
    };
    while (!trim(text).empty()) {
        if (!looks_like_plain_etcd(text)) {
            return cut_here(refuse(
                name, fmt::format("after {} keys comes something else than a key and a JSON value", found.entries.size()),
                "etcdctl get --prefix KEY -w json keeps keys and values apart"));
        }
        const auto end = text.find('\n');
        const std::string key(text.substr(0, end));
        text.remove_prefix(end + 1);
        const auto length = object_length(text);
        if (!length) return cut_here(refuse(name, printable(key) + ": the value ends in the middle"));
        found.entries.push_back(Contained{printable(key), std::string(text.substr(0, *length))});
        text.remove_prefix(*length);
        // The value may bring a newline of its own before the one that etcdctl prints.
        while (!text.empty() && (text.front() == '\n' || text.front() == '\r')) text.remove_prefix(1);
        if (found.entries.size() > kMostContained) return refuse(name, "too many keys");
    }
    return found;
}

bool has_config_maps(const json& root) {
    if (string_at(root, "kind") == "ConfigMap") return true;
    const auto items = root.find("items");
    if (string_at(root, "apiVersion").empty() || items == root.end() || !items->is_array()) return false;
    if (string_at(root, "kind") == "ConfigMapList") return true;
    return !items->empty() && items->front().is_object() && string_at(items->front(), "kind") == "ConfigMap";
}

}  // namespace

std::optional<Result<Unpacked>> unpack(std::string_view text, const std::string& name) {
    const std::string_view content = trim(text);
    if (looks_like_plain_etcd(content)) return etcd_plain(content, name);
    if (!content.starts_with('{')) return std::nullopt;
    // Profiles and levels come here most: they are not worth a reading.
    if (content.find("\"kvs\"") == std::string_view::npos && content.find("\"ConfigMap") == std::string_view::npos) {
        return std::nullopt;
    }
    const json root = json::parse(content, nullptr, false);
    if (root.is_discarded()) {
        Unpacked nothing;
        nothing.entries.emplace_back(refuse(name, "not valid JSON (cut or damaged)"));
        nothing.cut = true;
        return nothing;
    }
    if (!root.is_object()) return std::nullopt;
    if (const auto kvs = root.find("kvs"); kvs != root.end() && kvs->is_array()) return etcd_json(root, name);
    if (has_config_maps(root)) return config_maps(root, name);
    return std::nullopt;
}

}  // namespace cpulevel::intake
