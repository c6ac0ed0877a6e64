// Which features a level has. Removing one feature may remove others: what needs it (closure), what uses an XSAVE
// component that the nodes keep at different places (EQUAL), and in the end OSXSAVE itself, because a level must never
// show a small leaf 0xD together with OSXSAVE: glibc would reserve a small buffer, and XSAVE on a larger node would
// write past it (levelling.md, "What happens without levelling").
#include <fmt/format.h>

#include <bit>
#include <map>

#include "level/feature_text.h"
#include "level/meet_parts.h"
#include "level/xsave_area.h"

namespace cpulevel::level {
namespace {

using arch::FeatureId;
using arch::FeatureSet;
using arch::FeatureTable;
using profile::NodeProfile;

struct Removal {
    LossReason reason = LossReason::absent;
    std::string detail;
    std::vector<std::string> undescribed;
};

class FeatureMeeter {
   public:
    FeatureMeeter(const FeatureTable& table, Nodes nodes, const MeetOptions& options)
        : table_(table), nodes_(nodes), allowed_(options.allow) {
        if (options.keep_cpuid) allowed_ |= named_features(table, {"cpuid"});
        set_ = nodes.front().features;
        for (const NodeProfile& node : nodes) {
            set_ &= node.features;
            offered_ |= node.features;
            denied_ |= node.known - node.features;
            silent_ |= table.all() - node.known;
            in_hardware_.push_back(shown_by_cpus(node));
        }
    }

    FeatureMeet run(std::vector<std::string>& warnings) {
        remove_never(warnings);
        set_ = table_.closed_subset(set_);
        if (table_.architecture() == arch::Architecture::x86_64) settle_xsave();
        FeatureMeet met;
        met.features = set_;
        (offered_ - set_).for_each([&](FeatureId id) {
            met.losses.push_back(describe(id));
            if (met.losses.back().reason == LossReason::unknown) met.undetermined.insert(id);
        });
        // What no node offers and none is known to lack is not lost, but whoever takes this level for a machine must not
        // take it for absent.
        (silent_ - denied_ - offered_).for_each([&](FeatureId id) {
            if (table_[id].rule != arch::Rule::Never || allowed_.contains(id)) met.undetermined.insert(id);
        });
        return met;
    }

   private:
    // What the CPUs have, whatever the system enabled (XCR0, kernel options).
    [[nodiscard]] FeatureSet shown_by_cpus(const NodeProfile& node) const {
        if (node.cpus.empty()) return {};
        FeatureSet set = table_.all();
        for (const profile::CpuGroup& group : node.cpus) set &= table_.from_cpuid(group.cpuid, std::nullopt);
        return set;
    }

    void remove(const FeatureSet& which, const Removal& removal) {
        (which & set_).for_each([&](FeatureId id) { removals_.try_emplace(id, removal); });
        set_ -= which;
    }

    void remove_named(std::initializer_list<std::string_view> names, const Removal& removal) {
        remove(named_features(table_, names), removal);
    }

    void remove_never(std::vector<std::string>& warnings) {
        FeatureSet never;
        offered_.for_each([&](FeatureId id) {
            if (table_[id].rule != arch::Rule::Never) return;
            if (!allowed_.contains(id)) {
                never.insert(id);
                removals_.try_emplace(id, Removal{LossReason::never, std::string(table_[id].why), {}});
            } else if (set_.contains(id)) {
                warnings.push_back(fmt::format("{} was turned on by name: {}", table_[id].name,
                                               table_[id].why.empty() ? "its state does not survive a move"
                                                                      : table_[id].why));
            }
        });
        set_ -= never;
    }

    // Until nothing changes, because each removal may take the last user of a component away.
    void settle_xsave() {
        FeatureSet before;
        do {
            before = set_;
            remove_conflicting_components();
            remove_without_osxsave();
            remove_unsure_compaction();
            set_ = table_.closed_subset(set_);
        } while (set_ != before);
    }

    [[nodiscard]] FeatureSet using_components(std::uint64_t components) const {
        FeatureSet users;
        set_.for_each([&](FeatureId id) {
            if ((table_[id].xcr0 & components) != 0) users.insert(id);
        });
        return users;
    }

    void remove_conflicting_components() {
        for (std::uint64_t left = components_of(table_, set_) & ~kLegacyComponents; left != 0; left &= left - 1) {
            const auto component = static_cast<unsigned>(std::countr_zero(left));
            const auto conflict = layout_conflict(table_, nodes_, component);
            if (!conflict) continue;
            remove(using_components(std::uint64_t{1} << component),
                   {conflict->unknown ? LossReason::unknown : LossReason::layout, conflict->detail,
                    conflict->undescribed});
        }
    }

    void remove_without_osxsave() {
        const FeatureSet leaf_d = table_.in_leaf(0xD, 0) | table_.in_leaf(0xD, 1);
        const FeatureSet users = using_components(~kLegacyComponents);
        if (!contains(table_, set_, "osxsave")) {
            const std::string why = "OSXSAVE is not in the level, so it has no XSAVE layout";
            remove(users, {LossReason::consistency, why, {}});
            remove(leaf_d, {LossReason::consistency, why, {}});
        } else if (users.empty()) {
            const std::string why = "no feature that uses XSAVE is left, and a program that finds OSXSAVE would size "
                                    "buffers for it";
            remove_named({"osxsave"}, {LossReason::consistency, why, {}});
            remove(leaf_d, {LossReason::consistency, why, {}});
        }
    }

    // XSAVEC packs components without gaps, so its size follows from all sizes and alignments before it. It may stay
    // if each node tells its compacted size and the nodes agree about the components.
    void remove_unsure_compaction() {
        if (!contains(table_, set_, "xsavec")) return;
        std::vector<std::string> silent;
        std::map<unsigned, profile::XsaveComponent> seen;
        std::string differing;
        for (const NodeProfile& node : nodes_) {
            const NodeArea area = area_of(table_, node);
            if (area.compacted == 0) silent.push_back(node.name);
            if (area.layout == nullptr) continue;
            for (const auto& [number, component] : area.layout->components) {
                if (component.supervisor) continue;
                const auto [at, fresh] = seen.try_emplace(number, component);
                if (!fresh && (at->second.size != component.size || at->second.aligned != component.aligned)) {
                    differing = fmt::format("XSAVE component {} is {} bytes on {} and {} elsewhere, or aligned differently",
                                            number, component.size, node.name, at->second.size);
                }
            }
        }
        if (!differing.empty()) {
            remove_named({"xsavec"}, {LossReason::layout, differing, {}});
        } else if (!silent.empty()) {
            remove_named({"xsavec"}, {LossReason::unknown, "the size of the compacted area is not told", silent});
        }
    }

    [[nodiscard]] Loss describe(FeatureId id) const {
        Loss loss;
        loss.feature = id;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            const NodeProfile& node = nodes_[i];
            if (node.features.contains(id)) continue;
            if (!node.known.contains(id)) {
                loss.undescribed.push_back(node.name);
                continue;
            }
            loss.lacking.push_back(node.name);
            if (in_hardware_[i].contains(id)) loss.switched_off.push_back(node.name);
        }
        if (const auto at = removals_.find(id); at != removals_.end()) {
            loss.reason = at->second.reason;
            loss.detail = at->second.detail;
            if (!at->second.undescribed.empty()) loss.undescribed = at->second.undescribed;
            return loss;
        }
        if (!loss.lacking.empty()) {
            loss.reason = LossReason::absent;
        } else if (!loss.undescribed.empty()) {
            loss.reason = LossReason::unknown;
        } else {
            loss.reason = LossReason::closure;
            for (const FeatureId need : table_[id].needs) {
                if (!set_.contains(need)) loss.missing_needs.push_back(need);
            }
        }
        return loss;
    }

    const FeatureTable& table_;
    Nodes nodes_;
    FeatureSet allowed_;  // NEVER features that are shown all the same
    FeatureSet set_;
    FeatureSet offered_;  // some node has it
    FeatureSet denied_;   // some node is known to lack it
    FeatureSet silent_;   // some node's description does not say
    std::vector<FeatureSet> in_hardware_;  // by node
    std::map<FeatureId, Removal> removals_;
};

}  // namespace

FeatureMeet meet_features(const FeatureTable& table, Nodes nodes, const MeetOptions& options,
                          std::vector<std::string>& warnings) {
    return FeatureMeeter(table, nodes, options).run(warnings);
}

std::vector<std::string> unmaskable_differences(const FeatureTable& table, Nodes nodes) {
    std::vector<std::string> differences;
    for (std::size_t index = 0; index < table.features().size(); ++index) {
        const FeatureId id{static_cast<std::uint16_t>(index)};
        if (!table[id].hint_space) continue;
        std::vector<std::string> having;
        std::vector<std::string> lacking;
        for (const NodeProfile& node : nodes) {
            if (node.features.contains(id)) {
                having.push_back(node.name);
            } else if (node.known.contains(id)) {
                lacking.push_back(node.name);
            }
        }
        if (having.empty() || lacking.empty()) continue;
        differences.push_back(fmt::format("{} is on {}, not on {}", table[id].name, name_some(having, 4),
                                          name_some(lacking, 4)));
    }
    return differences;
}

}  // namespace cpulevel::level
