#include "profile/json_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/text.h"

namespace cpulevel::profile {

using Kind = JsonTree::Kind;

Result<std::unique_ptr<JsonDocument>> JsonDocument::parse(std::string_view text, std::string what, std::string name) {
    auto tree = JsonTree::parse(text, {});
    if (!tree) {
        const auto& [place, why] = tree.error();
        return usage_error(std::move(what), place.empty() ? name : name + ": " + place, why);
    }
    return std::unique_ptr<JsonDocument>(new JsonDocument(*std::move(tree), std::move(what), std::move(name)));
}

JsonValue JsonDocument::root() { return {*this, JsonTree::Index{0}}; }

Result<void> JsonDocument::verdict() const {
    if (error_) return std::unexpected(*error_);
    return {};
}

void JsonDocument::fail(const std::string& path, std::string why, std::string hint) {
    if (error_) return;
    error_ =
        Error{ErrorKind::usage, what_, path.empty() ? name_ : name_ + ": " + path, 0, std::move(why), std::move(hint)};
}

// Where a value is nothing, there was a complaint already.
void JsonValue::fail(std::string why, std::string hint) const {
    if (index_) document_->fail(document_->tree_.path(*index_), std::move(why), std::move(hint));
}

bool JsonValue::is(Kind kind, const char* complaint) const {
    if (!index_) return false;
    if (document_->tree_[*index_].kind == kind) return true;
    fail(complaint);
    return false;
}

std::optional<JsonValue> JsonValue::maybe(std::string_view key) const {
    if (!is(Kind::object, "expected an object")) return std::nullopt;
    const auto at = document_->tree_.find(*index_, key);
    if (!at) return std::nullopt;
    return JsonValue(*document_, *at);
}

JsonValue JsonValue::member(std::string_view key) const {
    if (auto found = maybe(key)) return *std::move(found);
    if (index_) document_->fail(JsonTree::step(document_->tree_.path(*index_), key), "missing", {});
    return {*document_, std::nullopt};
}

void JsonValue::only(std::initializer_list<std::string_view> keys) const {
    if (!is(Kind::object, "expected an object")) return;
    const JsonTree& tree = document_->tree_;
    Index at = *index_ + 1;
    for (std::uint32_t pair = 0; pair < tree[*index_].count; ++pair, at = tree[at + 1].next) {
        if (std::ranges::any_of(keys, [&](std::string_view key) { return tree.equals(at, key); })) continue;
        const auto near = nearest(tree.string(at), std::vector<std::string_view>(keys), 1);
        return JsonValue(*document_, at + 1)
            .fail("unknown key", near.empty() ? "" : fmt::format("did you mean \"{}\"?", near.front()));
    }
}

bool JsonValue::is_few(std::size_t most) const {
    const std::size_t count = document_->tree_[*index_].count;
    if (count <= most) return true;
    fail(fmt::format("{} entries, at most {} make sense", count, most));
    return false;
}

std::vector<JsonValue> JsonValue::items(std::size_t most) const {
    std::vector<JsonValue> result;
    if (!is(Kind::array, "expected an array") || !is_few(most)) return result;
    const JsonTree& tree = document_->tree_;
    result.reserve(tree[*index_].count);
    for (Index at = *index_ + 1; at < tree[*index_].next; at = tree[at].next)
        result.push_back(JsonValue(*document_, at));
    return result;
}

std::vector<JsonValue::Member> JsonValue::members(std::size_t most) const {
    std::vector<Member> result;
    if (!is(Kind::object, "expected an object") || !is_few(most)) return result;
    const JsonTree& tree = document_->tree_;
    for (Index at = *index_ + 1; at < tree[*index_].next; at = tree[at + 1].next) {
        result.push_back({tree.string(at), JsonValue(*document_, at + 1)});
    }
    return result;
}

std::string_view JsonValue::raw() const { return index_ ? document_->tree_.raw(*index_) : std::string_view{}; }

std::string JsonValue::string(std::size_t longest) const {
    if (!is(Kind::string, "expected a string")) return {};
    std::string text = document_->tree_.string(*index_);
    if (text.size() > longest) {
        fail(fmt::format("{} bytes, at most {} make sense", text.size(), longest));
        return {};
    }
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::ranges::any_of(text, control)) {
        fail("control character in a string");
        return {};
    }
    return text;
}

std::uint64_t JsonValue::number(std::uint64_t largest) const {
    if (!index_) return 0;
    const auto value = document_->tree_.integer(*index_);
    if (!value) {
        fail("expected a whole number from 0");
        return 0;
    }
    if (*value > largest) {
        fail(fmt::format("{} is absurd, at most {} makes sense", *value, largest));
        return 0;
    }
    return *value;
}

std::uint64_t JsonValue::hex(std::uint64_t largest) const {
    if (!index_) return 0;
    // No hexadecimal number has an escape.
    const JsonTree::Value& node = document_->tree_[*index_];
    std::string_view text = node.kind == Kind::string && node.plain ? raw() : std::string_view("\"\"");
    text = text.substr(1, text.size() - 2);
    const auto value = text.starts_with("0x") ? parse_hex(text) : std::nullopt;
    if (!value) {
        fail("expected a hexadecimal number as a string, such as \"0x1f\"");
        return 0;
    }
    if (*value > largest) {
        fail(fmt::format("0x{:x} is absurd, at most 0x{:x} makes sense", *value, largest));
        return 0;
    }
    return *value;
}

bool JsonValue::boolean() const {
    return is(Kind::boolean, "expected true or false") && document_->tree_.boolean(*index_);
}

}  // namespace cpulevel::profile
