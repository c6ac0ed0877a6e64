// /proc/cpuinfo of x86 and arm64 Linux, whole or one processor's paragraph.
//
// It is the kernel's opinion in words: on arm64 exactly the names of the HWCAP bits, so that the words can be put
// together again. On x86 the flags are a selection: which CPUID bits have a name depends on the kernel's version, and
// the raw values, the XSAVE layout and HWCAP2 are not there at all. So a missing x86 flag means "no" only for the
// CPUID words that every kernel since 3.10 prints in full; of the others nothing is known.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "profile/arm_identity.h"
#include "profile/cpu_list.h"
#include "profile/import/cpuinfo_flags.h"
#include "profile/import/format.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::FeatureId;
using arch::FeatureSet;

bool split_line(std::string_view line, std::string_view& key, std::string_view& value) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    key = trim(line.substr(0, colon));
    value = trim(line.substr(colon + 1));
    return !key.empty();
}

bool recognises(std::string_view text) {
    Lines lines(text);
    bool processor = false;
    for (std::string_view line; lines.next(line) && lines.number() <= 400;) {
        std::string_view key, value;
        if (!split_line(line, key, value)) continue;
        if (key == "processor") processor = true;
        if (processor && (key == "flags" || key == "Features" || key == "isa" || key == "cpu" || key == "facilities")) {
            return true;
        }
    }
    return false;
}

constexpr std::array<std::string_view, 11> kWantedKeys{
    "vendor_id",       "cpu family",       "model",       "model name", "stepping",     "CPU implementer",
    "CPU architecture", "CPU variant",     "CPU part",    "CPU revision", "isa"};
constexpr std::size_t kMostDifferentFlagLines = 4096;

class Reader {
   public:
    Reader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

    Result<NodeProfile> run() {
        if (auto collected = collect(); !collected) return std::unexpected(collected.error());
        profile_.name = printable(name_);
        profile_.origin = "/proc/cpuinfo";
        if (!flag_lines_.empty() && flag_key_ == "flags") {
            read_x86();
        } else if (!flag_lines_.empty() && first_.contains("CPU implementer")) {
            read_arm();
        } else {
            return usage_error("cannot import", name_,
                               "a /proc/cpuinfo without \"flags\" (x86) or \"Features\" and \"CPU implementer\" (arm64)",
                               "run `cpulevel scan` on that machine");
        }
        return std::move(profile_);
    }

   private:
    Result<void> collect() {
        Lines lines(text_);
        std::optional<unsigned> cpu;
        for (std::string_view line; lines.next(line);) {
            std::string_view key, value;
            if (!split_line(line, key, value)) continue;
            if (key == "processor") {
                const auto number = parse_decimal(value);
                if (!number) continue;  // arm kernels before 3.8: "Processor : ARMv7 ..." has another case
                if (*number > kMaximumCpu) return refuse(name_, lines.number(), "absurd CPU number");
                cpu = static_cast<unsigned>(*number);
            } else if (key == "flags" || key == "Features") {
                if (!flag_key_.empty() && key != flag_key_) {
                    return refuse(name_, lines.number(), "x86 and arm64 in one file");
                }
                flag_key_ = key;
                flag_lines_[value].push_back(cpu.value_or(0));
                if (flag_lines_.size() > kMostDifferentFlagLines) {
                    return refuse(name_, lines.number(), "absurdly many different CPUs");
                }
            } else if (std::ranges::find(kWantedKeys, key) != kWantedKeys.end()) {
                first_.try_emplace(key, value);
            }
        }
        return {};
    }

    [[nodiscard]] std::uint32_t number(std::string_view key) const {
        const auto at = first_.find(key);
        const auto value = at == first_.end() ? std::nullopt : parse_number(at->second);
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(value.value_or(0), 0xffff));
    }
    [[nodiscard]] std::string text(std::string_view key) const {
        const auto at = first_.find(key);
        return at == first_.end() ? std::string{} : printable(at->second);
    }

    // The meet of all flag lines; what differs and what is not understood goes into the notes.
    FeatureSet meet(const arch::FeatureTable& table) {
        FeatureSet any, everywhere = table.all();
        std::set<std::string> strange;
        std::vector<std::pair<std::string, FeatureSet>> each;
        for (const auto& [line, cpus] : flag_lines_) {
            FeatureSet set;
            for (const std::string_view word : split(line, ' ')) {
                if (trim(word).empty()) continue;
                if (const auto id = table.find(word)) {
                    set.insert(*id);
                } else if (std::ranges::find(kLinuxOnlyFlags, word) == kLinuxOnlyFlags.end() && strange.size() < 64) {
                    strange.insert(printable(word, 40));
                }
            }
            any |= set;
            everywhere &= set;
            each.emplace_back(format_cpu_list(cpus), set);
        }
        for (const auto& [cpus, set] : each) {
            const auto lacking = any - set;
            if (lacking.empty() || profile_.notes.size() >= 16) continue;
            profile_.notes.push_back(fmt::format("CPUs {} lack what other CPUs of this node have: {}", cpus,
                                                 join(names(table.architecture(), lacking), ", ")));
        }
        if (!strange.empty()) {
            const std::vector<std::string> list(strange.begin(), strange.end());
            profile_.notes.push_back("flags that are not known here, passed over: " + join(list, " "));
        }
        return everywhere;
    }

    void read_x86() {
        const auto& table = arch::table(arch::Architecture::x86_64);
        profile_.architecture = arch::Architecture::x86_64;
        profile_.identity = {text("vendor_id"), text("model name"), number("cpu family"), number("model"),
                             number("stepping")};
        profile_.features = meet(table);
        const auto xsave = table.find("xsave"), osxsave = table.find("osxsave"), mpx = table.find("mpx");
        // Linux turns XSAVE on wherever it shows the flag; OSXSAVE itself has no name in /proc/cpuinfo.
        if (xsave && osxsave && profile_.features.contains(*xsave)) profile_.features.insert(*osxsave);

        constexpr std::array<arch::CpuidPlace, 6> kPrintedInFull{{
            {1, 0, arch::Register::ecx, 0}, {1, 0, arch::Register::edx, 0}, {7, 0, arch::Register::ebx, 0},
            {0x80000001, 0, arch::Register::ecx, 0}, {0x80000001, 0, arch::Register::edx, 0},
            {0xd, 1, arch::Register::eax, 0}}};
        table.all().for_each([&](FeatureId id) {
            const auto places = table[id].cpuid;
            if (places.empty()) return;
            const auto& place = places.front();
            const bool printed = std::ranges::any_of(kPrintedInFull, [&](const arch::CpuidPlace& full) {
                return full.leaf == place.leaf && full.subleaf == place.subleaf && full.reg == place.reg;
            });
            if (printed) profile_.known.insert(id);
        });
        if (mpx) profile_.known.erase(*mpx);  // kernels since 5.6 do not name it, whatever the CPU has
        profile_.known |= profile_.features;
        if (const auto hypervisor = table.find("hypervisor");
            hypervisor && profile_.features.contains(*hypervisor)) {
            profile_.hypervisor = "yes";
        }
        profile_.notes.emplace_back("made from /proc/cpuinfo: raw CPUID, the XSAVE layout, HWCAP2, AT_MINSIGSTKSZ and "
                                    "whether CPUID faulting works are not known");
        profile_.notes.push_back(fmt::format("{} features, for which not every kernel has a flag, are unknown",
                                             (table.all() - profile_.known).size()));
    }

    void read_arm() {
        const auto& table = arch::table(arch::Architecture::aarch64);
        profile_.architecture = arch::Architecture::aarch64;
        const auto field = [&](std::string_view key) { return std::uint64_t{number(key)}; };
        profile_.identity = arm_identity((field("CPU implementer") & 0xff) << 24U |
                                         (field("CPU variant") & 0xf) << 20U |
                                         (field("CPU architecture") & 0xf) << 16U | (field("CPU part") & 0xfff) << 4U |
                                         (field("CPU revision") & 0xf));
        profile_.features = meet(table);
        for (std::uint8_t word = 0; word < profile_.hwcap.size(); ++word) {
            const auto bits = table.to_hwcap(profile_.features, word);
            if (word < 2 || bits != 0) profile_.hwcap[word] = bits;
            profile_.known |= table.in_hwcap_word(word);
        }
        profile_.known |= profile_.features;
        profile_.notes.emplace_back("made from /proc/cpuinfo: the HWCAP words are put together from its names");
        profile_.notes.emplace_back("CTR_EL0, DCZID_EL0, the page size, the SVE vector length and AT_MINSIGSTKSZ are "
                                    "not known");
    }

    std::string_view text_;
    const std::string& name_;
    std::string_view flag_key_;
    std::map<std::string_view, std::vector<unsigned>> flag_lines_;
    std::map<std::string_view, std::string_view> first_;
    NodeProfile profile_;
};

Result<NodeProfile> read(std::string_view text, const std::string& name) { return Reader(text, name).run(); }

}  // namespace

extern const Format kCpuinfo{"cpuinfo", "/proc/cpuinfo of x86 or arm64", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
