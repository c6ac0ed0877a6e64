// Strict reading of our JSON files. Whoever wrote the file may be another version, another tool or an enemy, so:
// syntax errors name line and column, every other complaint names the place as a path ("cpus[0].cpuid[3].eax"),
// duplicate and unknown keys are refused, nesting and size are bounded. The first complaint wins; reading goes on
// with harmless values until the caller asks for the verdict, which keeps the callers straight.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::profile {

class JsonDocument;

// One value of the document and its path. Valid as long as the document.
class JsonValue {
   public:
    [[nodiscard]] JsonValue member(std::string_view key) const;                 // must be there
    [[nodiscard]] std::optional<JsonValue> maybe(std::string_view key) const;   // may be missing; null is not missing
    void only(std::initializer_list<std::string_view> keys) const;              // complains about any other key
    [[nodiscard]] std::vector<JsonValue> items(std::size_t most) const;         // of an array
    struct Member;
    [[nodiscard]] std::vector<Member> members(std::size_t most) const;          // of an object

    [[nodiscard]] std::string string(std::size_t longest = 1024) const;  // bytes; control characters are refused
    [[nodiscard]] std::uint64_t number(std::uint64_t largest) const;     // a JSON integer from 0
    [[nodiscard]] std::uint64_t hex(std::uint64_t largest) const;        // a string "0x..."
    [[nodiscard]] bool boolean() const;

    void fail(std::string why, std::string hint = {}) const;
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    friend class JsonDocument;
    JsonValue(JsonDocument& document, const nlohmann::json* value, std::string path)
        : document_(&document), value_(value), path_(std::move(path)) {}

    JsonDocument* document_;
    const nlohmann::json* value_;  // null after a complaint: everything read from it is empty
    std::string path_;
};

struct JsonValue::Member {
    std::string key;
    JsonValue value;
};

class JsonDocument {
   public:
    // `what` opens the messages ("not a valid profile"), `name` is the file's.
    [[nodiscard]] static Result<std::unique_ptr<JsonDocument>> parse(std::string_view text, std::string what,
                                                                     std::string name);
    ~JsonDocument();
    [[nodiscard]] JsonValue root();
    // The first complaint, if there was one.
    [[nodiscard]] Result<void> verdict() const;

   private:
    friend class JsonValue;
    JsonDocument(std::string what, std::string name);

    std::unique_ptr<nlohmann::json> root_;
    std::string what_;
    std::string name_;
    std::optional<Error> error_;
};

}  // namespace cpulevel::profile
