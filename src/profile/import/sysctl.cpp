// `sysctl machdep.cpu` of macOS on x86: "machdep.cpu.features: FPU VME ...". Apple's own names for CPUID bits. macOS does
// not run under cpulevel; such machines are sources of facts about processors, and part of fleets that build for others.
// On Apple silicon: "hw.optional.arm.FEAT_LSE: 1", the names of the Arm ARM.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/import/kernel_words.h"
#include "profile/import/tool_names.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Architecture;

constexpr std::array kAppleSynonyms{Synonym{"MON", "monitor"}, Synonym{"TPR", "xtpr"}, Synonym{"EM64T", "lm"},
                                    Synonym{"XD", "nx"},       Synonym{"RDWRFSGS", "fsgsbase"}, Synonym{"TSCI", "invtsc"},
                                    Synonym{"AVX1.0", "avx"},  Synonym{"LZCNT", "lzcnt"},       Synonym{"LAHF", "lahf_lm"},
                                    Synonym{"1GBPAGE", "pdpe1gb"}, Synonym{"PREFETCHW", "3dnowprefetch"},
                                    Synonym{"TSC_THREAD_OFFSET", "tsc_adjust"}, Synonym{"FPU_CSDS", "zero_fcs_fds"}};

// Arm ARM A2.2 names; what programs on Linux see of them.
constexpr std::array kArmNames{
    Synonym{"FEAT_AES", "aes"},         Synonym{"FEAT_PMULL", "pmull"},     Synonym{"FEAT_SHA1", "sha1"},
    Synonym{"FEAT_SHA256", "sha2"},     Synonym{"FEAT_SHA512", "sha512"},   Synonym{"FEAT_SHA3", "sha3"},
    Synonym{"FEAT_CRC32", "crc32"},     Synonym{"FEAT_LSE", "atomics"},     Synonym{"FEAT_RDM", "asimdrdm"},
    Synonym{"FEAT_DotProd", "asimddp"}, Synonym{"FEAT_FHM", "asimdfhm"},    Synonym{"FEAT_FlagM", "flagm"},
    Synonym{"FEAT_FlagM2", "flagm2"},   Synonym{"FEAT_SB", "sb"},           Synonym{"FEAT_FRINTTS", "frint"},
    Synonym{"FEAT_JSCVT", "jscvt"},     Synonym{"FEAT_FCMA", "fcma"},       Synonym{"FEAT_LRCPC", "lrcpc"},
    Synonym{"FEAT_LRCPC2", "ilrcpc"},   Synonym{"FEAT_DPB", "dcpop"},       Synonym{"FEAT_DPB2", "dcpodp"},
    Synonym{"FEAT_BF16", "bf16"},       Synonym{"FEAT_EBF16", "ebf16"},     Synonym{"FEAT_I8MM", "i8mm"},
    Synonym{"FEAT_ECV", "ecv"},         Synonym{"FEAT_LSE2", "uscat"},      Synonym{"FEAT_DIT", "dit"},
    Synonym{"FEAT_BTI", "bti"},         Synonym{"FEAT_SSBS", "ssbs"},       Synonym{"FEAT_PAuth", "paca"},
    Synonym{"FEAT_AFP", "afp"},         Synonym{"FEAT_RPRES", "rpres"},     Synonym{"FEAT_WFxT", "wfxt"},
    Synonym{"FEAT_SME", "sme"},         Synonym{"FEAT_SME2", "sme2"},       Synonym{"FEAT_CSSC", "cssc"},
    Synonym{"FEAT_HBC", "hbc"}};

bool recognises(std::string_view text) {
    return text.starts_with("machdep.cpu.") || text.find("\nmachdep.cpu.") != std::string_view::npos ||
           text.find("\nhw.optional.arm.") != std::string_view::npos;
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    NodeProfile profile;
    profile.name = printable(name);
    profile.origin = "macOS sysctl";
    std::vector<std::string_view> words;
    std::vector<std::pair<std::string_view, bool>> arm;
    Lines lines(text);
    for (std::string_view line; lines.next(line);) {
        const auto colon = line.find(": ");
        if (colon == std::string_view::npos) continue;
        const auto key = trim(line.substr(0, colon)), value = trim(line.substr(colon + 1));
        if (key == "machdep.cpu.vendor") profile.identity.vendor = printable(value);
        if (key == "machdep.cpu.brand_string") profile.identity.brand = printable(value);
        if (key == "machdep.cpu.family") profile.identity.family = small_number(value);
        if (key == "machdep.cpu.model") profile.identity.model = small_number(value);
        if (key == "machdep.cpu.stepping") profile.identity.stepping = small_number(value);
        constexpr std::string_view kArm = "hw.optional.arm.";
        if (key.starts_with(kArm) && (value == "0" || value == "1")) arm.emplace_back(key.substr(kArm.size()), value == "1");
        if (key == "machdep.cpu.features" || key == "machdep.cpu.leaf7_features" || key == "machdep.cpu.extfeatures") {
            for (const std::string_view word : split(value, ' ')) words.push_back(trim(word));
        }
    }
    profile.architecture = arm.empty() ? Architecture::x86_64 : Architecture::aarch64;
    const auto& table = arch::table(profile.architecture);
    for (const std::string_view word : words) {
        if (arm.empty() && !word.empty()) {
            if (const auto id = find_feature(table, word, kAppleSynonyms)) profile.features.insert(*id);
        }
    }
    profile.known = profile.features;
    for (const auto& [feature, there] : arm) {
        const auto known = std::ranges::find(kArmNames, feature, &Synonym::first);
        const auto id = known == kArmNames.end() ? std::nullopt : table.find(known->second);
        if (!id) continue;
        profile.known.insert(*id);
        if (there) profile.features.insert(*id);
    }
    if (profile.features.empty()) {
        return usage_error("cannot import", name, "output of sysctl, but no CPU features in it", "sysctl machdep.cpu hw.optional");
    }
    if (profile.identity.vendor.empty() && !arm.empty()) profile.identity.vendor = "Apple";
    profile.notes.push_back(fmt::format("made from sysctl of macOS: raw values, layouts, sizes and HWCAP words are not known; "
                                        "{} features, of which it does not speak, are unknown",
                                        (table.all() - profile.known).size()));
    return profile;
}

}  // namespace

extern const Format kSysctl{"sysctl", "sysctl machdep.cpu hw.optional (macOS)", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
