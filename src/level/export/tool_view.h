// A tool's names as seen by an exporter: those of one version, against one level.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "level/export/export.h"

namespace cpulevel::level {

class ToolView {
   public:
    // The tool of that name for the level's architecture, in the version that the options name.
    static Result<ToolView> open(std::string_view tool, const Level& level, const ExportOptions& options);

    [[nodiscard]] const Level& level() const { return *level_; }
    [[nodiscard]] const arch::FeatureTable& table() const { return *table_; }
    [[nodiscard]] Version version() const { return version_; }
    [[nodiscard]] bool is_x86() const { return level_->architecture == arch::Architecture::x86_64; }

    [[nodiscard]] std::vector<const ToolEntry*> entries(EntryKind kind) const;  // of this version
    [[nodiscard]] static arch::FeatureSet features(const ToolEntry& entry);
    [[nodiscard]] arch::FeatureSet features(EntryKind kind) const;  // of all entries of the kind
    [[nodiscard]] bool shown(const ToolEntry& entry) const;  // the level shows all of its features

    // The names that hide what the level hides ("off" entries), in the order of the data.
    [[nodiscard]] std::vector<std::string> names_to_hide() const;
    // The names of what the level shows ("show" entries).
    [[nodiscard]] std::vector<std::string> names_to_show() const;
    // The best choice of a group that uses nothing hidden, else the least that the tool can be told; nullptr if neither.
    [[nodiscard]] const ToolEntry* best_choice(unsigned group = 0) const;

    // An export with the version and what "off", "value" and choices cannot hide of all that the tool looks at.
    [[nodiscard]] Export hiding() const;
    // An export with the version and what "show" entries and `base` cannot show of the features that programs can use.
    [[nodiscard]] Export showing(const arch::FeatureSet& base) const;

    // A word of "register" and "bit" entries: which of its bits the level shows, which the tool keeps to itself.
    struct Word {
        std::uint64_t shown = 0;
        std::uint64_t known = 0;  // bits that the tool reads at all
        std::uint64_t kept = 0;
    };
    [[nodiscard]] std::vector<Word> words() const;

   private:
    ToolView(const Tool& tool, const Level& level, Version version)
        : tool_(&tool), level_(&level), table_(&arch::table(level.architecture)), version_(version) {}
    [[nodiscard]] Word register_bits(const ToolEntry& entry) const;

    const Tool* tool_;
    const Level* level_;
    const arch::FeatureTable* table_;
    Version version_;
};

// The features of a set that a program without privilege can use.
[[nodiscard]] arch::FeatureSet for_programs(const arch::FeatureTable& table, const arch::FeatureSet& set);
[[nodiscard]] std::vector<std::string> names(const arch::FeatureTable& table, const arch::FeatureSet& set);

// One environment variable, as text and as a setting.
void set_variable(Export& result, std::string name, std::string value, char separator = 0);

}  // namespace cpulevel::level
