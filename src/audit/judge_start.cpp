// What the process as a whole found at its start, and keeps: features, sizes, libraries.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/judge.h"
#include "audit/xstate.h"
#include "level/feature_text.h"
#include "level/named.h"
#include "util/text.h"

namespace cpulevel::audit {
namespace {

constexpr std::string_view kStartLevelled = "start it levelled: cpulevel run --level LEVEL -- PROGRAM";

arch::FeatureSet usable_by_programs(const arch::FeatureTable& table, const arch::FeatureSet& set) {
    arch::FeatureSet result;
    set.for_each([&](arch::FeatureId id) {
        if (table[id].user) result.insert(id);
    });
    return result;
}

void judge_features(const Evidence& evidence, const Target& target, Report& report) {
    const Snapshot& process = *evidence.process;
    const Shown& shown = evidence.shown;
    const arch::FeatureTable& table = arch::table(process.architecture);
    const arch::FeatureSet more = usable_by_programs(table, shown.features - target.features);
    const arch::FeatureSet beyond = more & target.known;
    const arch::FeatureSet undescribed = more - target.known;
    const auto add = [&](Severity severity, const arch::FeatureSet& set, std::string why) {
        Finding finding = finding_of(process, 0, Kind::started_beyond, severity);
        finding.what = fmt::format("was shown {} that {} has not: {}", set.size() == 1 ? "a feature" : "features", target.name,
                                   level::name_some(table, set));
        finding.why = fmt::format("known from {}; {}", join(shown.sources, ", "), why);
        finding.advice = kStartLevelled;
        report.findings.push_back(std::move(finding));
    };
    if (!beyond.empty()) {
        add(Severity::unsafe, beyond,
            "it was started unlevelled or by a bigger level, and executes instructions there that do not exist (SIGILL)");
    }
    if (!undescribed.empty()) add(Severity::unknown, undescribed, "the target's description does not say whether it has them");
    const bool x86 = process.architecture == arch::Architecture::x86_64;
    if ((x86 && !shown.cpuid_known) || (!x86 && shown.sources.empty())) {
        Finding finding = finding_of(process, 0, Kind::started_beyond, Severity::unknown);
        finding.what = "what it was shown of the CPU is not known";
        finding.why = "there is neither a record of glibc (2.33 or later) nor a table of cpulevel in its memory";
        if (!process.levelled_by.empty()) {
            finding.severity = beyond.empty() ? Severity::note : Severity::unknown;
            finding.why += fmt::format("; a supervisor keeps it at level {}", printable(process.levelled_by));
        }
        finding.advice = kStartLevelled;
        report.findings.push_back(std::move(finding));
    }
}

// Bytes that the lazy resolver's XSAVE writes at the most on the target: it saves certain components only.
std::optional<std::uint32_t> resolver_needs(const GlibcRecord& record, const Target& target) {
    if (record.uses_xsavec()) return target.largest_compacted_area;
    if (!target.components || target.places.empty()) return target.largest_area;
    std::uint32_t end = kLegacyRegion + kXsaveHeader;
    for (const auto& [number, component] : target.places) {
        if (((kResolverComponents >> number) & 1U) != 0 && component.offset != 0) end = std::max(end, component.offset + component.size);
    }
    return end;
}

void judge_resolver(const Evidence& evidence, const Target& target, Report& report) {
    const auto& glibc = evidence.shown.glibc;
    if (!glibc) return;
    const Snapshot& process = *evidence.process;
    if (!glibc->resolver_buffer) {
        Finding finding = finding_of(process, 0, Kind::resolver_area, Severity::note);
        finding.what = "how much its ld.so reserves for lazy binding is not known";
        finding.why = "the record of this glibc does not have it where earlier versions had";
        report.findings.push_back(std::move(finding));
        return;
    }
    if (*glibc->resolver_buffer == 0) return;  // FXSAVE: the same everywhere
    const auto xsavec = arch::table(process.architecture).find("xsavec");
    if (glibc->uses_xsavec() && xsavec && !target.features.contains(*xsavec)) return;  // told as a feature that is not there
    const std::uint64_t reserved = *glibc->resolver_buffer - kResolverPad;
    // A level that hides XSAVE promises no size; what its machines write is not told.
    const auto needs = resolver_needs(*glibc, target);
    if (needs && *needs <= reserved) return;
    Finding finding = finding_of(process, 0, Kind::resolver_area, needs ? Severity::unsafe : Severity::unknown);
    const char* instruction = glibc->uses_xsavec() ? "XSAVEC" : "XSAVE";
    finding.what = fmt::format("its ld.so reserves {} bytes for {} at each lazily bound call", reserved, instruction);
    finding.why = needs ? fmt::format("{} writes up to {} bytes on a machine of {}: the stack would be overwritten", instruction, *needs,
                                      target.name)
                        : fmt::format("how much {} writes on a machine of {} is not told", instruction, target.name);
    finding.advice = fmt::format("{}; or start it with LD_BIND_NOW=1", kStartLevelled);
    report.findings.push_back(std::move(finding));
}

void judge_signal_stack(const Evidence& evidence, const Target& target, Report& report) {
    const Snapshot& process = *evidence.process;
    if (!process.aux_vector || !target.minimum_signal_stack) return;
    const auto promised = process.aux_vector->find(inherit::kAtMinimumSignalStack);
    if (!promised || *promised >= *target.minimum_signal_stack) return;
    Finding finding = finding_of(process, 0, Kind::signal_stack, Severity::unsafe);
    finding.what = fmt::format("was promised signal frames of {} bytes at the most (AT_MINSIGSTKSZ)", *promised);
    finding.why = fmt::format("a frame takes up to {} bytes on a machine of {}: an alternate stack that it makes by that "
                              "promise is too small",
                              *target.minimum_signal_stack, target.name);
    // Who has an alternate stack, and how large, is known in a checkpoint only.
    if (process.from_images && std::ranges::none_of(process.threads, [&](const Thread& thread) {
            return thread.alternate_stack && thread.alternate_stack->size < *target.minimum_signal_stack;
        })) {
        finding.severity = Severity::note;
        finding.why += "; no thread has such a stack now";
    }
    finding.advice = kStartLevelled;
    report.findings.push_back(std::move(finding));
}

// The level of ".../glibc-hwcaps/x86-64-v3/libfoo.so"; empty if the path has none.
std::string_view hwcaps_level(std::string_view path) {
    constexpr std::string_view kFolder = "/glibc-hwcaps/";
    const auto at = path.find(kFolder);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = path.substr(at + kFolder.size());
    return rest.substr(0, rest.find('/'));
}

void judge_libraries(const Evidence& evidence, const Target& target, Report& report) {
    const Snapshot& process = *evidence.process;
    const arch::FeatureTable& table = arch::table(process.architecture);
    std::set<std::string> seen;
    for (const Mapping& mapping : process.mappings) {
        const std::string_view level = hwcaps_level(mapping.path);
        if (level.empty() || !seen.insert(mapping.path).second) continue;
        const arch::NamedLevel* named = table.find_level(level);
        Finding finding = finding_of(process, 0, Kind::hwcaps_library, Severity::unsafe);
        finding.what = fmt::format("has a library of {} mapped: {}", printable(level), printable(mapping.path));
        if (named == nullptr) {
            finding.severity = Severity::unknown;
            finding.why = "what that folder's libraries need is not known";
        } else {
            const arch::FeatureSet lacking = usable_by_programs(table, level::features_of(table, *named) - target.features);
            if (lacking.empty()) continue;
            finding.severity = (lacking & target.known).empty() ? Severity::unknown : Severity::unsafe;
            finding.why = fmt::format("it was built for {}, which {} has not", level::name_some(table, lacking, 4), target.name);
        }
        finding.advice = fmt::format("{}; ld.so then takes the library that fits", kStartLevelled);
        report.findings.push_back(std::move(finding));
    }
}

// Permission for tile data belongs to the process and is in no file: neither /proc nor a checkpoint tells it. Who was
// never shown AMX has not asked for it; a frame that is laid out for tiles proves it.
void judge_tile_permission(const Evidence& evidence, const Target& target, Report& report) {
    const Snapshot& process = *evidence.process;
    if (process.architecture != arch::Architecture::x86_64) return;
    const bool proven = std::ranges::any_of(evidence.frames, [](const FrameSearch& search) {
        return std::ranges::any_of(search.frames, [](const SignalFrame& frame) { return (frame.described >> kTileData & 1U) != 0; });
    });
    const auto amx = arch::table(process.architecture).find("amx_tile");
    const bool shown = amx && evidence.shown.cpuid_known && evidence.shown.features.contains(*amx);
    if (!proven && !shown) return;
    Finding finding = finding_of(process, 0, Kind::tile_permission, proven ? Severity::unsafe : Severity::unknown);
    finding.certainty = proven ? Certainty::certain : Certainty::likely;
    finding.what = proven ? "has permission to use AMX tile data" : "may have permission to use AMX tile data";
    finding.why = fmt::format("{}; CRIU does not carry the permission over, and the first tile instruction on {} would kill the process",
                              proven ? "a signal frame of it is laid out for tile data"
                                     : "it was shown AMX, and the kernel does not tell who has asked (arch_prctl ARCH_REQ_XCOMP_PERM)",
                              target.name);
    finding.advice = "start it by a level without AMX: no named level has it";
    report.findings.push_back(std::move(finding));
}

}  // namespace

void judge_start(const Evidence& evidence, const Target& target, Report& report) {
    if (evidence.process->portable) {
        // Shown the machine's own features, it leaves them alone; it binds nothing lazily, and makes no alternate stack.
        judge_libraries(evidence, target, report);
        return;
    }
    judge_features(evidence, target, report);
    judge_resolver(evidence, target, report);
    judge_signal_stack(evidence, target, report);
    judge_libraries(evidence, target, report);
    judge_tile_permission(evidence, target, report);
}

}  // namespace cpulevel::audit
