// What the auxiliary vector of a levelled program says, and the registers that a program reads without asking.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "level/feature_text.h"
#include "level/meet_parts.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using profile::NodeProfile;

// A description without the word: on x86, AT_HWCAP is CPUID leaf 1 EDX (arch/x86/include/asm/elf.h, ELF_HWCAP); else
// the word follows from the features, because nothing that is not among them may be shown.
std::uint64_t word_of(const arch::FeatureTable& table, const NodeProfile& node, std::uint8_t word) {
    if (node.hwcap.at(word)) return *node.hwcap.at(word);
    if (table.architecture() == arch::Architecture::x86_64 && word == 0 && !node.cpus.empty()) {
        std::uint64_t value = 0xffffffff;
        for (const profile::CpuGroup& group : node.cpus) {
            value &= arch::find(group.cpuid, 1).value_or(arch::CpuidRegisters{}).edx;
        }
        return value;
    }
    return table.to_hwcap(node.features, word);
}

// Names in ascending order: each machine also runs what was built for those before it.
constexpr std::array<std::string_view, 19> kPlatformOrder{
    "power4", "power5", "power5+", "power6", "power6x", "power7", "power7+", "power8", "power9", "power10", "power11",
    "z900",   "z10",    "z196",    "zEC12",  "z13",     "z14",    "z15",     "z16"};

}  // namespace

std::array<std::optional<std::uint64_t>, 4> meet_hwcap(const arch::FeatureTable& table, Nodes nodes,
                                                       const arch::FeatureSet& features) {
    std::array<std::optional<std::uint64_t>, 4> words;
    const bool x86 = table.architecture() == arch::Architecture::x86_64;
    for (std::uint8_t word = 0; word < words.size(); ++word) {
        const bool given = std::ranges::any_of(nodes, [&](const NodeProfile& n) { return n.hwcap.at(word).has_value(); });
        if (!given && table.in_hwcap_word(word).empty() && !(x86 && word == 0)) continue;
        std::uint64_t value = ~std::uint64_t{0};
        for (const NodeProfile& node : nodes) value &= word_of(table, node, word);
        const std::uint64_t described = table.to_hwcap(table.all(), word);
        words.at(word) = value & ~(described & ~table.to_hwcap(features, word));
    }
    return words;
}

std::optional<Largest> meet_signal_stack(arch::Architecture architecture, Nodes nodes,
                                         std::vector<std::string>& warnings) {
    std::optional<Largest> largest;
    std::vector<std::string> silent;
    for (const NodeProfile& node : nodes) {
        if (!node.minimum_signal_stack) {
            silent.push_back(node.name);
        } else if (!largest || *node.minimum_signal_stack > largest->bytes) {
            largest = Largest{*node.minimum_signal_stack, node.name};
        }
    }
    if (silent.empty()) return largest;
    if (architecture == arch::Architecture::x86_64) {
        const Largest known{arch::known_maxima().minimum_signal_stack, "data"};
        if (!largest || known.bytes > largest->bytes) largest = known;
        warnings.push_back(fmt::format("AT_MINSIGSTKSZ of {} is not known; the largest of any known CPU, {} bytes, is "
                                       "promised",
                                       name_some(silent, 4), known.bytes));
    } else {
        warnings.push_back(fmt::format("AT_MINSIGSTKSZ of {} is not known; a signal stack that is sized elsewhere may be "
                                       "too small there",
                                       name_some(silent, 4)));
    }
    return largest;
}

std::optional<std::string> meet_platform(Nodes nodes, std::size_t chosen, std::vector<std::string>& warnings) {
    std::vector<std::string> names;
    for (const NodeProfile& node : nodes) {
        if (node.platform && std::ranges::find(names, *node.platform) == names.end()) names.push_back(*node.platform);
    }
    if (names.size() < 2) return std::nullopt;  // every machine's own value is right
    const auto rank = [](const std::string& name) {
        return std::ranges::find(kPlatformOrder, name) - kPlatformOrder.begin();
    };
    if (std::ranges::all_of(names, [&](const std::string& name) { return rank(name) < std::ssize(kPlatformOrder); })) {
        return *std::ranges::min_element(names, {}, rank);
    }
    const std::string picked = nodes[chosen].platform.value_or(names.front());
    warnings.push_back(fmt::format("AT_PLATFORM differs ({}) and their order is not known; {} is shown",
                                   join(names, ", "), picked));
    return picked;
}

bool is_minimum_register(std::string_view name) { return name.ends_with("_vector_length"); }

std::uint64_t register_mask(std::string_view name) {
    // Arm ARM D19.2.34, CTR_EL0: IminLine [3:0], DminLine [19:16], IDC [28], DIC [29]. What a JIT compiler latches.
    // The cache policy and the granules of exclusives and write-back change nothing that a program does.
    if (name == "CTR_EL0") return 0x300F000FU;
    return ~std::uint64_t{0};
}

Result<std::map<std::string, std::uint64_t>> meet_registers(Nodes nodes, const MeetOptions& options,
                                                            std::vector<std::string>& warnings) {
    std::map<std::string, std::vector<std::pair<std::uint64_t, const NodeProfile*>>> given;
    for (const NodeProfile& node : nodes) {
        for (const auto& [name, value] : node.registers) given[name].emplace_back(value, &node);
        if (node.page_size) given["page_size"].emplace_back(*node.page_size, &node);
    }
    std::map<std::string, std::uint64_t> registers;
    for (const auto& [name, values] : given) {
        if (values.size() < nodes.size()) {
            std::vector<std::string> silent;
            for (const NodeProfile& node : nodes) {
                if (std::ranges::none_of(values, [&](const auto& v) { return v.second == &node; })) {
                    silent.push_back(node.name);
                }
            }
            // A machine without the feature has no such register: only a missing EQUAL value is a gap.
            if (!is_minimum_register(name)) {
                warnings.push_back(fmt::format("{} of {} is not known", name, name_some(silent, 4)));
            }
        }
        if (is_minimum_register(name)) {
            registers[name] = std::ranges::min(values, {}, [](const auto& v) { return v.first; }).first;
            continue;
        }
        const std::uint64_t mask = register_mask(name);
        const auto& [first, first_node] = values.front();
        const auto other =
            std::ranges::find_if(values, [&](const auto& v) { return (v.first & mask) != (first & mask); });
        if (other != values.end()) {
            const std::string where =
                fmt::format("{:#x} on {}, {:#x} on {}", first, first_node->name, other->first, other->second->name);
            // Whoever never moves a running program can live with other registers, but not with another page size.
            if (!options.accept_unmaskable || name == "page_size") {
                return std::unexpected(
                    Error{ErrorKind::refused, "the nodes cannot share a level", name, 0, where,
                          "programs read this value without asking and rely on it; keep these nodes in separate levels "
                          "(--accept-unmaskable takes the risk)"});
            }
            warnings.push_back(fmt::format("cannot be hidden and differs: {} ({})", name, where));
            continue;  // the level promises nothing about it
        }
        const auto own =
            std::ranges::find_if(values, [&](const auto& v) { return v.second == &nodes[options.chosen]; });
        registers[name] = own != values.end() ? own->first : values.front().first;
    }
    // On x86 the page size is the same everywhere and in no one's way.
    if (nodes.front().architecture == arch::Architecture::x86_64) registers.erase("page_size");
    return registers;
}

}  // namespace cpulevel::level
