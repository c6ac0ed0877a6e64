// Strict reading of our JSON files. Whoever wrote the file may be another version, another tool or an enemy, so:
// syntax errors name line and column, every other complaint names the place as a path ("cpus[0].cpuid[3].eax"),
// duplicate and unknown keys are refused, nesting and size are bounded. The first complaint wins; reading goes on
// with harmless values until the caller asks for the verdict, which keeps the callers straight.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"
#include "util/json_tree.h"

namespace cpulevel::profile {

class JsonDocument;

// One value of the document. Valid as long as the document.
class JsonValue {
   public:
    [[nodiscard]] JsonValue member(std::string_view key) const;                // must be there
    [[nodiscard]] std::optional<JsonValue> maybe(std::string_view key) const;  // may be missing; null is not missing
    void only(std::initializer_list<std::string_view> keys) const;             // complains about any other key
    [[nodiscard]] std::vector<JsonValue> items(std::size_t most) const;        // of an array
    struct Member;
    [[nodiscard]] std::vector<Member> members(std::size_t most) const;  // of an object

    [[nodiscard]] std::string string(std::size_t longest = 1024) const;  // bytes; control characters are refused
    [[nodiscard]] std::uint64_t number(std::uint64_t largest) const;     // a JSON integer from 0
    [[nodiscard]] std::uint64_t hex(std::uint64_t largest) const;        // a string "0x..."
    [[nodiscard]] bool boolean() const;

    // As it stands in the text; empty after a complaint.
    [[nodiscard]] std::string_view raw() const;

    void fail(std::string why, std::string hint = {}) const;

   private:
    friend class JsonDocument;
    using Index = JsonTree::Index;
    JsonValue(JsonDocument& document, std::optional<Index> index) : document_(&document), index_(index) {}
    [[nodiscard]] bool is(JsonTree::Kind kind, const char* complaint) const;
    [[nodiscard]] bool is_few(std::size_t most) const;

    JsonDocument* document_;
    std::optional<Index> index_;  // nothing after a complaint: everything read from it is empty
};

struct JsonValue::Member {
    std::string key;
    JsonValue value;
};

class JsonDocument {
   public:
    // The text must outlive the document. `what` opens the messages ("not a valid profile"), `name` is the file's.
    [[nodiscard]] static Result<std::unique_ptr<JsonDocument>> parse(std::string_view text, std::string what,
                                                                     std::string name);
    [[nodiscard]] JsonValue root();
    // The first complaint, if there was one.
    [[nodiscard]] Result<void> verdict() const;

   private:
    friend class JsonValue;
    void fail(const std::string& path, std::string why, std::string hint);
    JsonDocument(JsonTree tree, std::string what, std::string name)
        : tree_(std::move(tree)), what_(std::move(what)), name_(std::move(name)) {}

    JsonTree tree_;
    std::string what_;
    std::string name_;
    std::optional<Error> error_;
};

}  // namespace cpulevel::profile
