#include "level/expression.h"

#include <fmt/format.h>

#include "level/feature_text.h"
#include "level/level_json.h"
#include "level/named.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using arch::FeatureId;
using arch::FeatureSet;
using arch::FeatureTable;

constexpr std::size_t kLongestExpression = 4096;
constexpr std::string_view kOperators = "+-";

// The ends of the prefixes of `text` that end before an operator or at its end, longest first.
std::vector<std::size_t> ends(std::string_view text) {
    std::vector<std::size_t> found{text.size()};
    for (std::size_t at = text.size(); at-- > 0;) {
        if (kOperators.contains(text[at])) found.push_back(at);
    }
    return found;
}

std::unexpected<Error> unknown(const FeatureTable& table, std::string_view what, std::string_view word,
                               std::string_view expression, std::string hint) {
    std::vector<std::string> near;
    for (const std::string_view candidate : table.suggest(word)) near.emplace_back(candidate);
    if (!near.empty()) hint = fmt::format("did you mean {}?", join(near, ", "));
    return usage_error(fmt::format("unknown {}", what), printable(word),
                       word == expression ? "" : fmt::format("in \"{}\"", printable(expression)), std::move(hint));
}

class Parser {
   public:
    Parser(const FeatureTable& table, std::string_view expression) : table_(table), expression_(expression) {}

    Result<Level> run(const profile::XsaveLayout* layout) {
        if (auto base = take_base(); !base) return std::unexpected(base.error());
        while (!rest_.empty()) {
            if (auto taken = take_feature(); !taken) return std::unexpected(taken.error());
        }
        auto level = level_of(table_, std::string(expression_), features_, asked_, layout);
        if (level) level->warnings.insert(level->warnings.begin(), notes_.begin(), notes_.end());
        return level;
    }

   private:
    Result<void> take_base() {
        for (const std::size_t end : ends(expression_)) {
            const arch::NamedLevel* named = table_.find_level(expression_.substr(0, end));
            if (named == nullptr) continue;
            features_ = features_of(table_, *named);
            rest_ = expression_.substr(end);
            base_end_ = rest_.data();
            return {};
        }
        return unknown(table_, "level", expression_.substr(0, expression_.find('+')), expression_, levels_hint());
    }

    [[nodiscard]] std::string levels_hint() const {
        std::vector<std::string> names;
        for (const arch::NamedLevel& named : table_.levels()) names.emplace_back(named.name);
        return names.empty() ? fmt::format("no levels are named for {}", name(table_.architecture()))
                             : fmt::format("levels of {}: {}", name(table_.architecture()), join(names, ", "));
    }

    Result<void> take_feature() {
        const bool add = rest_.front() == '+';
        rest_.remove_prefix(1);
        for (const std::size_t end : ends(rest_)) {
            const auto id = end == 0 ? std::nullopt : table_.find(rest_.substr(0, end));
            if (!id) continue;
            rest_.remove_prefix(end);
            return apply(*id, add);
        }
        const std::string_view word = rest_.substr(0, rest_.find_first_of(kOperators));
        if (word.empty()) {
            return usage_error("a feature is missing in the level", printable(expression_),
                               "'+' and '-' are each followed by a feature's name");
        }
        // Right behind the name of a level, the word may be a mistyped end of that name: "x86-64-v9".
        const bool first = rest_.data() == base_end_ + 1;
        return unknown(table_, first ? "level or feature" : "feature", word, expression_, first ? levels_hint() : "");
    }

    Result<void> apply(FeatureId id, bool add) {
        if (add) {
            FeatureSet more = features_;
            more.insert(id);
            more = table_.with_needs(more);
            FeatureSet needs = more - features_;
            needs.erase(id);
            if (!needs.empty()) {
                notes_.push_back(fmt::format("{} needs, and so the level has: {}", table_[id].name,
                                             name_some(table_, needs)));
            }
            // Asked by name: a NEVER feature among the needs was asked for with it.
            asked_ |= more - features_;
            asked_.insert(id);
            features_ = more;
            return {};
        }
        FeatureSet gone = table_.dependents(id) & features_;
        if (!gone.empty()) {
            notes_.push_back(fmt::format("without {} the level has not what needs it: {}", table_[id].name,
                                         name_some(table_, gone)));
        }
        gone.insert(id);
        features_ -= gone;
        asked_ -= gone;
        return {};
    }

    const FeatureTable& table_;
    std::string_view expression_;
    std::string_view rest_;
    const char* base_end_ = nullptr;
    FeatureSet features_;
    FeatureSet asked_;
    std::vector<std::string> notes_;
};

}  // namespace

Result<Level> parse_level(std::string_view expression, arch::Architecture architecture,
                          const profile::XsaveLayout* layout) {
    expression = trim(expression);
    if (expression.empty()) {
        return usage_error("no level is given", {}, {}, "a name such as x86-64-v2, or a file made by cpulevel baseline");
    }
    if (expression.size() > kLongestExpression) {
        return usage_error("the level's name is too long", printable(expression, 40));
    }
    return Parser(arch::table(architecture), expression).run(layout);
}

Result<Level> resolve_level(std::string_view word, const std::optional<std::string>& file_content,
                            arch::Architecture architecture, const profile::XsaveLayout* layout) {
    if (file_content) return load_level_text(*file_content, std::string(word), architecture, layout);
    auto level = parse_level(word, architecture, layout);
    if (!level && level.error().hint.empty()) level.error().hint = "nor is there a file of this name";
    return level;
}

}  // namespace cpulevel::level
