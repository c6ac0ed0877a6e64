#include "profile/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "util/text.h"

namespace cpulevel::profile {
namespace {

using nlohmann::json;

constexpr std::size_t kDeepest = 12;
constexpr std::size_t kMostValues = 2U << 20U;  // of any kind in one document

std::string step(const std::string& path, std::string_view key) {
    return path.empty() ? printable(key, 60) : path + "." + printable(key, 60);
}

std::string place_of(std::string_view text, std::size_t position) {
    const std::string_view before = text.substr(0, std::min(position, text.size()));
    const auto line = std::ranges::count(before, '\n') + 1;
    const auto last = before.rfind('\n');
    const auto column = before.size() - (last == std::string_view::npos ? 0 : last + 1);
    return fmt::format("line {}, column {}", line, std::max<std::size_t>(column, 1));
}

// Builds the tree, and stops at the first duplicate key, at too much depth and at too many values. nlohmann's own
// builder keeps the last of two equal keys without a word.
class Builder : public nlohmann::json_sax<json> {
   public:
    explicit Builder(std::string_view text) : text_(text) {}

    bool null() override { return put(json(nullptr)); }
    bool boolean(bool value) override { return put(json(value)); }
    bool number_integer(number_integer_t value) override { return put(json(value)); }
    bool number_unsigned(number_unsigned_t value) override { return put(json(value)); }
    bool number_float(number_float_t value, const string_t&) override { return put(json(value)); }
    bool string(string_t& value) override { return put(json(std::move(value))); }
    bool binary(binary_t&) override { return refuse(path(), "binary value"); }
    bool start_object(std::size_t) override { return open(json::object()); }
    bool start_array(std::size_t) override { return open(json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        Level& level = levels_.back();
        level.key = name;
        if (level.value.contains(name)) return refuse(path(), "this key is there twice");
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing ..."
        std::string_view why = error.what();
        if (const auto at = why.find(": "); at != std::string_view::npos) why.remove_prefix(at + 2);
        return refuse(place_of(text_, position), printable(why, 200));
    }

    json result;
    std::optional<std::pair<std::string, std::string>> complaint;  // place, reason

   private:
    struct Level {
        json value;
        std::string key;
    };

    bool refuse(std::string place, std::string why) {
        if (!complaint) complaint.emplace(std::move(place), std::move(why));
        return false;
    }

    [[nodiscard]] std::string path() const {
        std::string text;
        for (const Level& level : levels_) {
            text = level.value.is_array() ? fmt::format("{}[{}]", text, level.value.size()) : step(text, level.key);
        }
        return text;
    }

    bool open(json value) {
        if (levels_.size() >= kDeepest) return refuse(path(), fmt::format("nested deeper than {} levels", kDeepest));
        levels_.push_back({std::move(value), {}});
        return true;
    }

    bool close() {
        json value = std::move(levels_.back().value);
        levels_.pop_back();
        return put(std::move(value));
    }

    bool put(json value) {
        if (++count_ > kMostValues) return refuse(path(), "too many values");
        if (levels_.empty()) {
            result = std::move(value);
        } else if (Level& level = levels_.back(); level.value.is_array()) {
            level.value.push_back(std::move(value));
        } else {
            level.value[level.key] = std::move(value);
        }
        return true;
    }

    std::string_view text_;
    std::vector<Level> levels_;
    std::size_t count_ = 0;
};

}  // namespace

JsonDocument::JsonDocument(std::string what, std::string name) : what_(std::move(what)), name_(std::move(name)) {}
JsonDocument::~JsonDocument() = default;

Result<std::unique_ptr<JsonDocument>> JsonDocument::parse(std::string_view text, std::string what, std::string name) {
    std::unique_ptr<JsonDocument> document(new JsonDocument(std::move(what), std::move(name)));
    Builder builder(text);
    bool good = false;
    try {
        good = json::sax_parse(text.begin(), text.end(), &builder);
    } catch (const json::exception& error) {
        builder.complaint.emplace("", printable(error.what(), 200));
    }
    if (!good || builder.complaint) {
        auto [place, why] = builder.complaint.value_or(std::pair<std::string, std::string>{"", "not JSON"});
        const std::string on = place.empty() ? document->name_ : document->name_ + ": " + place;
        return usage_error(document->what_, on, std::move(why));
    }
    document->root_ = std::make_unique<json>(std::move(builder.result));
    return document;
}

JsonValue JsonDocument::root() { return {*this, root_.get(), {}}; }

Result<void> JsonDocument::verdict() const {
    if (error_) return std::unexpected(*error_);
    return {};
}

void JsonValue::fail(std::string why, std::string hint) const {
    if (document_->error_) return;
    const std::string on = path_.empty() ? document_->name_ : document_->name_ + ": " + path_;
    document_->error_ = Error{ErrorKind::usage, document_->what_, on, 0, std::move(why), std::move(hint)};
}

std::optional<JsonValue> JsonValue::maybe(std::string_view key) const {
    if (value_ == nullptr) return std::nullopt;
    if (!value_->is_object()) {
        fail("expected an object");
        return std::nullopt;
    }
    const auto at = value_->find(key);
    if (at == value_->end()) return std::nullopt;
    return JsonValue(*document_, &*at, step(path_, key));
}

JsonValue JsonValue::member(std::string_view key) const {
    if (auto found = maybe(key)) return *std::move(found);
    JsonValue missing(*document_, nullptr, step(path_, key));
    if (value_ != nullptr) missing.fail("missing");
    return missing;
}

void JsonValue::only(std::initializer_list<std::string_view> keys) const {
    if (value_ == nullptr) return;
    if (!value_->is_object()) return fail("expected an object");
    for (const auto& [key, value] : value_->items()) {
        if (std::ranges::find(keys, std::string_view(key)) != keys.end()) continue;
        const std::vector<std::string_view> candidates(keys);
        const auto near = nearest(key, candidates, 1);
        const JsonValue unknown(*document_, &value, step(path_, key));
        return unknown.fail("unknown key", near.empty() ? "" : fmt::format("did you mean \"{}\"?", near.front()));
    }
}

std::vector<JsonValue> JsonValue::items(std::size_t most) const {
    std::vector<JsonValue> result;
    if (value_ == nullptr) return result;
    if (!value_->is_array()) {
        fail("expected an array");
        return result;
    }
    if (value_->size() > most) {
        fail(fmt::format("{} entries, at most {} make sense", value_->size(), most));
        return result;
    }
    for (std::size_t i = 0; i < value_->size(); ++i) {
        result.push_back(JsonValue(*document_, &(*value_)[i], fmt::format("{}[{}]", path_, i)));
    }
    return result;
}

std::vector<JsonValue::Member> JsonValue::members(std::size_t most) const {
    std::vector<Member> result;
    if (value_ == nullptr) return result;
    if (!value_->is_object()) {
        fail("expected an object");
        return result;
    }
    if (value_->size() > most) {
        fail(fmt::format("{} entries, at most {} make sense", value_->size(), most));
        return result;
    }
    for (const auto& [key, value] : value_->items()) {
        result.push_back({key, JsonValue(*document_, &value, step(path_, key))});
    }
    return result;
}

std::string JsonValue::string(std::size_t longest) const {
    if (value_ == nullptr) return {};
    if (!value_->is_string()) {
        fail("expected a string");
        return {};
    }
    auto text = value_->get<std::string>();
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
    if (value_ == nullptr) return 0;
    if (!value_->is_number_unsigned()) {
        fail("expected a whole number from 0");
        return 0;
    }
    const auto value = value_->get<std::uint64_t>();
    if (value > largest) {
        fail(fmt::format("{} is absurd, at most {} makes sense", value, largest));
        return 0;
    }
    return value;
}

std::uint64_t JsonValue::hex(std::uint64_t largest) const {
    if (value_ == nullptr) return 0;
    const auto text = value_->is_string() ? std::string_view(value_->get_ref<const std::string&>()) : "";
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
    if (value_ == nullptr) return false;
    if (!value_->is_boolean()) {
        fail("expected true or false");
        return false;
    }
    return value_->get<bool>();
}

}  // namespace cpulevel::profile
