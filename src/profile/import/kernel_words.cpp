#include "profile/import/kernel_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "arch/cpu_model.h"
#include "profile/cpu_list.h"
#include "profile/import/cpuinfo_flags.h"
#include "profile/import/tool_names.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Architecture;
using arch::FeatureId;
using arch::FeatureSet;

constexpr std::size_t kMostNotes = 16;

class Reader {
   public:
    Reader(const KernelWords& words, const std::string& name)
        : words_(words), name_(name), table_(arch::table(words.architecture)) {}

    Result<NodeProfile> run() {
        profile_.name = printable(name_);
        profile_.architecture = words_.architecture;
        profile_.origin = words_.origin;
        profile_.identity = words_.identity;
        profile_.hypervisor = words_.hypervisor;
        Result<void> done;
        switch (words_.architecture) {
            case Architecture::x86_64: read_x86(); break;
            case Architecture::riscv64: done = read_riscv(); break;
            case Architecture::ppc64le: done = read_power(); break;
            default: done = read_hwcap_names(); break;
        }
        if (!done) return std::unexpected(done.error());
        return std::move(profile_);
    }

   private:
    // The meet of all lines; what differs between CPUs goes into the notes.
    template <class SetOfLine>
    FeatureSet meet(SetOfLine&& set_of) {
        FeatureSet any, everywhere = table_.all();
        std::vector<std::pair<std::string, FeatureSet>> each;
        for (const auto& [line, cpus] : words_.lines) {
            const FeatureSet set = set_of(std::string_view(line));
            any |= set;
            everywhere &= set;
            each.emplace_back(format_cpu_list(cpus), set);
        }
        for (const auto& [cpus, set] : each) {
            const auto lacking = any - set;
            if (lacking.empty() || profile_.notes.size() >= kMostNotes) continue;
            profile_.notes.push_back(fmt::format("CPUs {} lack what other CPUs of this node have: {}", cpus,
                                                 join(names(table_.architecture(), lacking), ", ")));
        }
        return everywhere;
    }

    FeatureSet meet_of_flags() {
        std::set<std::string> strange;
        const FeatureSet everywhere = meet([&](std::string_view line) {
            FeatureSet set;
            for (const std::string_view word : split(line, ' ')) {
                if (trim(word).empty()) continue;
                if (const auto id = table_.find(trim(word))) {
                    set.insert(*id);
                } else if (std::ranges::find(kLinuxOnlyFlags, word) == kLinuxOnlyFlags.end() && strange.size() < 64) {
                    strange.insert(printable(word, 40));
                }
            }
            return set;
        });
        if (!strange.empty()) {
            const std::vector<std::string> list(strange.begin(), strange.end());
            profile_.notes.push_back("flags that are not known here, passed over: " + join(list, " "));
        }
        return everywhere;
    }

    void read_x86() {
        profile_.features = meet_of_flags();
        const auto xsave = table_.find("xsave"), osxsave = table_.find("osxsave"), mpx = table_.find("mpx");
        // Linux turns XSAVE on wherever it shows the flag; OSXSAVE itself has no name in /proc/cpuinfo.
        if (xsave && osxsave && profile_.features.contains(*xsave)) profile_.features.insert(*osxsave);
        profile_.known = printed_in_full(table_);
        if (mpx) profile_.known.erase(*mpx);  // kernels since 5.6 do not name it, whatever the CPU has
        profile_.known |= profile_.features;
        const auto hypervisor = table_.find("hypervisor");
        if (hypervisor && profile_.features.contains(*hypervisor) && profile_.hypervisor.empty()) {
            profile_.hypervisor = "yes";
        }
        profile_.notes.push_back(fmt::format("made from {}: raw CPUID, the XSAVE layout, HWCAP2, AT_MINSIGSTKSZ and "
                                             "whether CPUID faulting works are not known",
                                             words_.origin));
        profile_.notes.push_back(fmt::format("{} features, for which not every kernel has a flag, are unknown",
                                             (table_.all() - profile_.known).size()));
    }

    // The words are the kernel's own HWCAP names: what it does not print, it does not set for programs either.
    Result<void> read_hwcap_names() {
        profile_.features = meet_of_flags();
        take_hwcap_words();
        profile_.notes.push_back(
            fmt::format("made from {}: the HWCAP words are put together from its names", words_.origin));
        if (words_.architecture == Architecture::aarch64) {
            profile_.notes.emplace_back("CTR_EL0, DCZID_EL0, the page size, the SVE vector length and AT_MINSIGSTKSZ "
                                        "are not known");
        } else {
            profile_.notes.emplace_back("AT_PLATFORM, the page size and AT_MINSIGSTKSZ are not known");
        }
        return {};
    }

    void take_hwcap_words() {
        for (std::uint8_t word = 0; word < profile_.hwcap.size(); ++word) {
            const FeatureSet described = table_.in_hwcap_word(word);
            const auto bits = table_.to_hwcap(profile_.features, word);
            if ((word < 2 && !described.empty()) || bits != 0) profile_.hwcap[word] = bits;
            profile_.known |= described;
        }
        profile_.known |= profile_.features;
    }

    // "rv64imafdcv_zicsr_zba": letters up to the first '_', 'z', 's' or 'x'; G stands for IMAFD (unprivileged ISA
    // specification, "ISA Extension Naming Conventions").
    Result<void> read_riscv() {
        std::set<std::string> longer;
        std::string wrong;
        profile_.features = meet([&](std::string_view line) {
            FeatureSet set;
            const std::string isa = lower(trim(line));
            if (!isa.starts_with("rv64")) {
                wrong = isa;
                return set;
            }
            const auto parts = split(std::string_view(isa).substr(4), '_');
            for (const char letter : parts.front().substr(0, parts.front().find_first_of("zsx"))) {
                for (const char one : letter == 'g' ? std::string_view("imafd") : std::string_view(&letter, 1)) {
                    if (const auto id = table_.find(std::string_view(&one, 1))) set.insert(*id);
                }
            }
            for (const auto& part : std::span(parts).subspan(1)) {
                if (longer.size() < 200) longer.insert(printable(part, 40));
            }
            return set;
        });
        if (!wrong.empty()) {
            return usage_error("cannot import", name_, "an ISA string that is not of 64-bit RISC-V: " + printable(wrong, 40));
        }
        take_hwcap_words();
        profile_.notes.push_back(fmt::format("made from {}: the single-letter extensions, as AT_HWCAP has them; the vector "
                                             "length, the page size and AT_MINSIGSTKSZ are not known",
                                             words_.origin));
        if (!longer.empty()) {
            const std::vector<std::string> list(longer.begin(), longer.end());
            profile_.notes.push_back("extensions that no HWCAP bit tells (riscv_hwprobe does), passed over: " +
                                     join(list, " "));
        }
        return {};
    }

    // "POWER9 (architected), altivec supported": what the name implies is there (data/targets.json); of all else, and of
    // which byte order the system runs in, nothing is said.
    Result<void> read_power() {
        std::string unknown;
        profile_.features = meet([&](std::string_view line) {
            FeatureSet set;
            std::string model = lower(line.substr(0, line.find_first_of(" ,(")));
            for (const std::string_view suffix : {"nvl", "e", "+"}) {
                if (model.ends_with(suffix)) model.resize(model.size() - suffix.size());
            }
            const auto* target = arch::find_target(model);
            if (target != nullptr && target->architecture == Architecture::ppc64le) {
                for (const FeatureId id : target->features) set.insert(id);
            } else {
                unknown = printable(line, 60);
            }
            if (line.find("altivec supported") != std::string_view::npos) {
                if (const auto id = table_.find("altivec")) set.insert(*id);
            }
            return set;
        });
        if (!unknown.empty()) {
            return usage_error("cannot import", name_, "what this processor has is not known here: " + unknown,
                               "run `cpulevel scan` on that machine");
        }
        profile_.known = profile_.features;
        profile_.notes.push_back(fmt::format("made from {}, which has the processor's name and no features: what the name "
                                             "implies is taken, {} features are unknown",
                                             words_.origin, (table_.all() - profile_.known).size()));
        profile_.notes.emplace_back("that the system is little-endian is assumed; AT_PLATFORM, the page size and "
                                    "AT_MINSIGSTKSZ are not known");
        return {};
    }

    const KernelWords& words_;
    const std::string& name_;
    const arch::FeatureTable& table_;
    NodeProfile profile_;
};

}  // namespace

Result<NodeProfile> profile_of(const KernelWords& words, const std::string& name) {
    return Reader(words, name).run();
}

std::uint32_t small_number(std::string_view text) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(parse_number(trim(text)).value_or(0), 0xffff));
}

}  // namespace cpulevel::profile::import
