#include "fleet/types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "profile/derive.h"

namespace cpulevel::fleet {
namespace {

using profile::NodeProfile;

// Appends values so that no two sequences of values give the same bytes: lengths go before what varies in length.
class KeyWriter {
   public:
    void number(std::uint64_t value) {
        for (unsigned shift = 0; shift < 64; shift += 8) key_ += static_cast<char>(value >> shift & 0xffU);
    }
    void text(const std::string& value) {
        number(value.size());
        key_ += value;
    }
    void optional(const std::optional<std::uint64_t>& value) {
        key_ += value ? '\1' : '\0';
        if (value) number(*value);
    }
    void features(const arch::FeatureSet& set) {
        number(set.size());
        set.for_each([&](arch::FeatureId id) {
            key_ += static_cast<char>(id.value & 0xffU);
            key_ += static_cast<char>(id.value >> 8U);
        });
    }
    std::string take() { return std::move(key_); }

   private:
    std::string key_;
};

void write_dump(KeyWriter& key, const arch::CpuidDump& dump) {
    key.number(dump.size());
    for (const auto& [at, registers] : dump) {
        key.number(std::uint64_t{at.leaf} << 32U | at.subleaf);
        key.number(std::uint64_t{registers.eax} << 32U | registers.ebx);
        key.number(std::uint64_t{registers.ecx} << 32U | registers.edx);
    }
}

void write_xsave(KeyWriter& key, const std::optional<profile::XsaveLayout>& xsave) {
    key.number(xsave ? 1 : 0);
    if (!xsave) return;
    for (const std::uint64_t value : {xsave->xcr0, std::uint64_t{xsave->xcr0_enabled}, std::uint64_t{xsave->standard_size},
                                      std::uint64_t{xsave->maximum_size}, std::uint64_t{xsave->compacted_size}}) {
        key.number(value);
    }
    key.number(xsave->components.size());
    for (const auto& [number, component] : xsave->components) {
        key.number(number);
        key.number(std::uint64_t{component.size} << 32U | component.offset);
        key.number((component.supervisor ? 1U : 0U) + (component.aligned ? 2U : 0U));
    }
}

}  // namespace

std::string type_key(const NodeProfile& node) {
    KeyWriter key;
    key.number(static_cast<std::uint64_t>(node.architecture));
    key.text(node.origin);
    key.text(node.identity.vendor);
    key.text(node.identity.brand);
    key.number(std::uint64_t{node.identity.family} << 32U | node.identity.model);
    key.number(node.identity.stepping);
    for (const auto& word : node.hwcap) key.optional(word);
    key.optional(node.minimum_signal_stack);
    key.optional(node.page_size);
    key.number(node.platform ? 1 : 0);
    key.text(node.platform.value_or(""));
    key.number(node.registers.size());
    for (const auto& [name, value] : node.registers) {
        key.text(name);
        key.number(value);
    }
    key.number(node.cpus.size());
    for (const profile::CpuGroup& group : node.cpus) {
        write_dump(key, node.architecture == arch::Architecture::x86_64 ? profile::without_live_fields(group.cpuid)
                                                                         : group.cpuid);
    }
    write_xsave(key, node.xsave);
    key.features(node.features);
    key.features(node.known);
    return key.take();
}

std::string NodeType::label() const {
    if (count < 2) return profile.name;
    return fmt::format("{} (+{})", profile.name, count - 1);
}

std::size_t Fleet::node_count() const {
    std::size_t count = 0;
    for (const NodeType& type : types) count += type.count;
    return count;
}

FleetBuilder::FleetBuilder(Fleet fleet) : fleet_(std::move(fleet)) {
    for (std::size_t type = 0; type < fleet_.types.size(); ++type) {
        by_key_.try_emplace(type_key(fleet_.types[type].profile), type);
    }
}

std::size_t FleetBuilder::add(NodeProfile node) {
    std::vector<std::string> names{node.name};
    return add(std::move(node), 1, std::move(names));
}

std::size_t FleetBuilder::add(NodeProfile node, std::size_t count, std::vector<std::string> names) {
    const auto [at, fresh] = by_key_.try_emplace(type_key(node), fleet_.types.size());
    if (fresh) {
        fleet_.types.push_back({std::move(node), count, std::move(names)});
    } else {
        NodeType& type = fleet_.types[at->second];
        type.count += count;
        std::ranges::move(names, std::back_inserter(type.nodes));
    }
    return at->second;
}

Fleet group(std::span<const NodeProfile> nodes) {
    FleetBuilder builder;
    for (const NodeProfile& node : nodes) builder.add(node);
    return builder.take();
}

std::vector<NodeProfile> representatives(const Fleet& fleet) {
    std::vector<NodeProfile> result;
    result.reserve(fleet.types.size());
    for (const NodeType& type : fleet.types) {
        result.push_back(type.profile);
        result.back().name = type.label();
    }
    return result;
}

}  // namespace cpulevel::fleet
