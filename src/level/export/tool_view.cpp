#include "level/export/tool_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "util/text.h"

namespace cpulevel::level {

Result<ToolView> ToolView::open(std::string_view name, const Level& level, const ExportOptions& options) {
    const Tool* const tool = find_tool(name, level.architecture);
    if (tool == nullptr) {
        std::vector<std::string> known;
        for (const std::string_view one : formats_for(level.architecture)) known.emplace_back(one);
        return usage_error(fmt::format("the format has no meaning for {} levels", arch::name(level.architecture)),
                           std::string(name), {},
                           known.empty() ? "no tool that we know takes levels of this architecture"
                                         : "formats for it: " + join(known, ", "));
    }
    Version version = tool->usual;
    if (const auto chosen = options.versions.find(name); chosen != options.versions.end()) {
        version = chosen->second;
        if (tool->newest == Version{}) {
            return usage_error("versions make no difference", std::string(name), {}, "leave it out of --for");
        }
        if (version < tool->oldest) {
            return usage_error(fmt::format("nothing is known of version {}", level::to_text(version)), std::string(name),
                               fmt::format("the data begin with {}", level::to_text(tool->oldest)));
        }
    }
    return ToolView(*tool, level, version);
}

std::vector<const ToolEntry*> ToolView::entries(EntryKind kind) const {
    std::vector<const ToolEntry*> found;
    for (const ToolEntry& entry : tool_->entries) {
        if (entry.kind != kind) continue;
        if (entry.since != Version{} && version_ < entry.since) continue;
        // "until 2.32" holds for 2.32.5 too.
        const Version coarse{version_.major, entry.until.minor == 0 ? std::uint16_t{0} : version_.minor, 0};
        if (entry.until != Version{} && entry.until < coarse) continue;
        found.push_back(&entry);
    }
    return found;
}

arch::FeatureSet ToolView::features(const ToolEntry& entry) {
    arch::FeatureSet set;
    for (const arch::FeatureId id : entry.features) set.insert(id);
    return set;
}

arch::FeatureSet ToolView::features(EntryKind kind) const {
    arch::FeatureSet set;
    for (const ToolEntry* entry : entries(kind)) set |= features(*entry);
    return set;
}

bool ToolView::shown(const ToolEntry& entry) const { return features(entry).is_subset_of(level_->features); }

std::vector<std::string> ToolView::names_to_hide() const {
    std::vector<std::string> found;
    for (const ToolEntry* entry : entries(EntryKind::off)) {
        if (!shown(*entry)) found.emplace_back(entry->name);
    }
    return found;
}

std::vector<std::string> ToolView::names_to_show() const {
    std::vector<std::string> found;
    for (const ToolEntry* entry : entries(EntryKind::show)) {
        if (shown(*entry)) found.emplace_back(entry->name);
    }
    return found;
}

const ToolEntry* ToolView::best_choice(unsigned group) const {
    for (const ToolEntry* entry : entries(EntryKind::choice)) {
        if (entry->group == group && (entry->floor || shown(*entry))) return entry;
    }
    return nullptr;
}

Export ToolView::hiding() const {
    Export result;
    result.version = version_;
    const arch::FeatureSet named = features(EntryKind::off) | features(EntryKind::value);
    arch::FeatureSet chosen;  // what a choice uses is hidden by choosing another
    arch::FeatureSet floor = features(EntryKind::floor);
    for (const ToolEntry* entry : entries(EntryKind::choice)) {
        if (entry == best_choice(entry->group) && entry->floor) floor |= features(*entry);
        chosen |= features(*entry);
    }
    result.cannot_hide = ((features(EntryKind::uses) - named - chosen) | (floor - named)) - level_->features;
    return result;
}

Export ToolView::showing(const arch::FeatureSet& base) const {
    Export result;
    result.version = version_;
    arch::FeatureSet said = base | features(EntryKind::ambient);
    for (const ToolEntry* entry : entries(EntryKind::show)) {
        if (shown(*entry)) said |= features(*entry);
    }
    result.cannot_show = for_programs(*table_, level_->features) - said;
    return result;
}

ToolView::Word ToolView::register_bits(const ToolEntry& entry) const {
    Word word;
    const arch::CpuidPlace& at = entry.place;
    std::uint32_t fields = 0;  // what is not one feature bit: sizes, counts
    for (const arch::CpuidField& field : table_->fields()) {
        if (field.leaf != at.leaf || field.reg != at.reg || at.subleaf < field.first_subleaf || at.subleaf > field.last_subleaf) {
            continue;
        }
        for (unsigned bit = field.low; bit <= field.high; ++bit) fields |= 1U << bit;
    }
    std::uint32_t shown_bits = 0;
    level_->features.for_each([&](arch::FeatureId id) {
        for (const arch::CpuidPlace& place : (*table_)[id].cpuid) {
            if (place.leaf == at.leaf && place.subleaf == at.subleaf && place.reg == at.reg) shown_bits |= 1U << place.bit;
        }
    });
    word.shown = std::uint64_t{shown_bits} << entry.bit;
    word.known = std::uint64_t{~fields} << entry.bit;
    // Fields stay as the machine has them where the register shows anything, and go with its features where not.
    if (shown_bits == 0) word.known = std::uint64_t{0xffffffff} << entry.bit;
    word.known &= std::uint64_t{0xffffffff} << entry.bit;
    return word;
}

std::vector<ToolView::Word> ToolView::words() const {
    std::vector<Word> words;
    const auto at = [&](unsigned index) -> Word& {
        if (words.size() <= index) words.resize(index + 1);
        return words[index];
    };
    for (const ToolEntry* entry : entries(EntryKind::cpuid_register)) {
        const Word part = register_bits(*entry);
        Word& word = at(entry->word);
        word.shown |= part.shown;
        word.known |= part.known;
    }
    for (const ToolEntry* entry : entries(EntryKind::bit)) {
        Word& word = at(entry->word);
        const std::uint64_t bit = std::uint64_t{1} << entry->bit;
        word.known |= bit;
        word.shown = (word.shown & ~bit) | (shown(*entry) ? bit : 0);
    }
    for (const ToolEntry* entry : entries(EntryKind::keep)) {
        Word& word = at(entry->word);
        const std::uint64_t bit = std::uint64_t{1} << entry->bit;
        word.kept |= bit;
        word.shown &= ~bit;
        word.known &= ~bit;
    }
    return words;
}

arch::FeatureSet for_programs(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    arch::FeatureSet result;
    set.for_each([&](arch::FeatureId id) {
        if (table[id].user) result.insert(id);
    });
    return result;
}

std::vector<std::string> names(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    std::vector<std::string> found;
    set.for_each([&](arch::FeatureId id) { found.emplace_back(table[id].name); });
    return found;
}

void set_variable(Export& result, std::string name, std::string value, char separator) {
    if (value.empty()) return;
    result.text += fmt::format("{}={}\n", name, value);
    result.environment.push_back({std::move(name), std::move(value), separator});
}

}  // namespace cpulevel::level
