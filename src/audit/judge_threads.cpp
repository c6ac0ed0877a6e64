// What threads carry: frames of signal handlers, and registers in use.
//
// What a frame's vector state meets on return (arch/x86/kernel/fpu/signal.c):
//   - it is larger than this kernel's own: taken for one without extended state. Nothing is said, and everything beyond
//     SSE is lost: the upper halves of YMM, AVX-512, PKRU.
//   - it is not, but its header names a component that XCR0 has not: XRSTOR faults, and the kernel kills the
//     process ("bad frame in rt_sigreturn").
//   - a component stands elsewhere on this CPU: the registers are filled from the wrong bytes.
//   - else all of it is restored, and components that the frame does not have are initialised.
#include <fmt/format.h>

#include <algorithm>

#include "audit/judge.h"
#include "audit/xstate.h"

namespace cpulevel::audit {
namespace {

constexpr std::uint64_t kXstateBits = ~kLegacyComponents;

std::string in_handler(const SignalFrame& frame) {
    return frame.signal == 0 ? std::string("is inside a signal handler")
                             : fmt::format("is inside a signal handler ({})", signal_name(frame.signal));
}

constexpr std::string_view kWaitAdvice =
    "wait until the handler is left: `cpulevel dump --wait`, or audit again in a moment";

struct Judged {
    Severity severity = Severity::note;
    std::string why;  // empty: the target takes it
};

// Components in `used` that stand elsewhere on the target than in the frame.
std::uint64_t misplaced(std::uint64_t used, const SignalFrame& frame, const Target& target, bool& unknown) {
    std::uint64_t wrong = 0;
    for (unsigned number = 3; number < 63; ++number) {  // component 2 has one place on every CPU
        if (((used >> number) & 1U) == 0) continue;
        const auto there = target.places.find(number);
        const auto here = frame.places.find(number);
        if (there == target.places.end() || here == frame.places.end()) {
            unknown = true;
        } else if (there->second.offset != here->second.offset || there->second.size != here->second.size) {
            wrong |= std::uint64_t{1} << number;
        }
    }
    return wrong;
}

Judged judge_x86_frame(const SignalFrame& frame, const Target& target) {
    if (frame.state_size == 0) return {};  // x87 and SSE only: every kernel takes it
    const std::uint64_t used = frame.in_use & kXstateBits;
    const std::uint64_t named = frame.header & kXstateBits;
    if (named == 0) return {};  // whatever the size, there is nothing beyond SSE to lose
    if (!target.components || !target.frame_state) {
        return {Severity::unknown, fmt::format("the frame holds {}; which XSAVE components {} enables is not told",
                                               components_text(named), target.name)};
    }
    if (frame.state_size > *target.frame_state) {
        if (used == 0) return {};
        return {Severity::unsafe,
                fmt::format("the frame's vector state has {} bytes, a machine of {} may take {} at the most: on return the "
                            "kernel restores only x87 and SSE, and {} of the interrupted code would be lost without a word",
                            frame.state_size, target.name, *target.frame_state, components_text(used))};
    }
    if (const std::uint64_t lacking = named & ~*target.components; lacking != 0) {
        return {Severity::unsafe, fmt::format("the frame names {}, which a machine of {} may not have: on return the kernel "
                                              "kills the process (bad frame in rt_sigreturn)",
                                              components_text(lacking), target.name)};
    }
    bool unknown = false;
    if (const std::uint64_t wrong = misplaced(named, frame, target, unknown); wrong != 0) {
        return {Severity::unsafe, fmt::format("{} stands at another place in the frame than on {}: its registers would be "
                                              "filled from the wrong bytes",
                                              components_text(wrong), target.name)};
    }
    if (unknown) {
        return {Severity::unknown, fmt::format("the frame holds {}; where these stand on {} or on the machine where the "
                                               "frame was made is not told",
                                               components_text(named), target.name)};
    }
    return {};
}

Judged judge_arm_frame(const SignalFrame& frame, const Target& target) {
    if (frame.has_sme) return {Severity::unsafe, "the frame holds SME state, which no checkpoint carries"};
    if (frame.sve_vector_length == 0) return {};
    const auto at = target.registers.find("sve_vector_length");
    if (at == target.registers.end()) {
        return {Severity::unsafe, fmt::format("the frame has SVE state with vectors of {} bytes, and {} has no SVE: the kernel "
                                              "kills the process when the handler returns",
                                              frame.sve_vector_length, target.name)};
    }
    if (at->second >= frame.sve_vector_length) return {};
    return {Severity::unsafe, fmt::format("the frame has SVE vectors of {} bytes, {} at the most {}: the kernel kills the process "
                                          "when the handler returns",
                                          frame.sve_vector_length, target.name, at->second)};
}

void judge_frames(const Snapshot& process, const Thread& thread, const FrameSearch& search, const Target& target,
                  Report& report) {
    for (const SignalFrame& frame : search.frames) {
        const Judged judged = frame.shape == SignalFrame::Shape::aarch64 ? judge_arm_frame(frame, target)
                                                                         : judge_x86_frame(frame, target);
        if (judged.why.empty()) continue;
        Finding finding = finding_of(process, thread.tid, Kind::handler_frame, judged.severity);
        finding.certainty = frame.blocked_now ? Certainty::certain : Certainty::likely;
        finding.what = in_handler(frame);
        finding.why = judged.why;
        if (!frame.blocked_now) {
            finding.why += "; the handler's signal is not blocked, so the frame may also be left over from an earlier one";
        }
        finding.advice = kWaitAdvice;
        finding.passes = !process.from_images;
        if (process.from_images) finding.advice = "dump again when the handler is left: `cpulevel dump --wait`";
        report.findings.push_back(std::move(finding));
    }
    if (search.complete || !thread.stack_pointer || !process.memory) return;
    Finding finding = finding_of(process, thread.tid, Kind::unreadable, Severity::unknown);
    finding.what = "may be inside a signal handler";
    finding.why = search.incomplete_why;
    finding.advice = "look at the checkpoint after the dump: `cpulevel audit FOLDER`";
    report.findings.push_back(std::move(finding));
}

void judge_vector_state(const Snapshot& process, const Thread& thread, const Target& target, Report& report) {
    if (!thread.vector_state) return;
    const VectorState& state = *thread.vector_state;
    const auto add = [&](Kind kind, Severity severity, std::string what, std::string why, std::string advice) {
        Finding finding = finding_of(process, thread.tid, kind, severity);
        finding.what = std::move(what);
        finding.why = std::move(why);
        finding.advice = std::move(advice);
        report.findings.push_back(std::move(finding));
    };
    const std::uint64_t tiles = state.in_use & kTileBits;
    if (tiles != 0) {
        add(Kind::vector_state, Severity::unsafe, "uses AMX tiles", "CRIU does not save them: they would be zero after the move",
            "wait until the work on tiles is done (TILERELEASE), or start it by a level without AMX");
    }
    const std::uint64_t used = state.in_use & kXstateBits & ~kTileBits;
    if (used == 0) return;
    if (!target.components) {
        add(Kind::vector_state, Severity::unknown, fmt::format("uses {}", components_text(used)),
            fmt::format("which XSAVE components {} enables is not told", target.name), "scan that machine: cpulevel scan");
        return;
    }
    const std::uint64_t lacking = used & ~*target.components;
    if ((lacking & kPkruBit) != 0) {
        add(Kind::protection_keys, Severity::unsafe,
            fmt::format("restricts memory by protection keys (PKRU {:#010x})", state.pkru.value_or(0)),
            fmt::format("a machine of {} may have none: the restriction would be gone", target.name),
            "start it by a level without protection keys (pku)");
    }
    if (const std::uint64_t rest = lacking & ~kPkruBit; rest != 0) {
        add(Kind::vector_state, Severity::unsafe, fmt::format("uses {}", components_text(rest)),
            fmt::format("registers that a machine of {} may not have hold values, so its code needs them", target.name),
            "start it levelled: cpulevel run --level");
    }
}

void judge_arm_thread(const Snapshot& process, const Thread& thread, const Target& target, Report& report) {
    if (thread.sve_vector_length) {
        const auto at = target.registers.find("sve_vector_length");
        const std::uint64_t there = at == target.registers.end() ? 0 : at->second;
        Finding finding = finding_of(process, thread.tid, Kind::vector_length, Severity::unsafe);
        finding.what = fmt::format("uses SVE with vectors of {} bytes", *thread.sve_vector_length);
        finding.why = there == 0 ? fmt::format("{} has no SVE", target.name)
                                 : fmt::format("{} has {} bytes at the most", target.name, there);
        finding.why += "; CRIU saves the lower 16 bytes of each register only";
        finding.advice = "start it by a level without SVE";
        report.findings.push_back(std::move(finding));
    }
    const arch::FeatureTable& table = arch::table(arch::Architecture::aarch64);
    const auto paca = table.find("paca");
    if (!thread.pointer_keys.value_or(false) || !paca || target.features.contains(*paca)) return;
    Finding finding = finding_of(process, thread.tid, Kind::pointer_keys,
                                 target.known.contains(*paca) ? Severity::unsafe : Severity::unknown);
    finding.what = "has pointer authentication keys in use";
    finding.why = fmt::format("return addresses on its stack may be signed, and {} cannot take the signature off: the next "
                              "return would jump into nowhere",
                              target.name);
    finding.advice = "move it only between machines with pointer authentication of the same kind";
    report.findings.push_back(std::move(finding));
}

void judge_alternate_stack(const Snapshot& process, const Thread& thread, const Target& target, Report& report) {
    if (!thread.alternate_stack || !target.minimum_signal_stack) return;
    if (thread.alternate_stack->size >= *target.minimum_signal_stack) return;
    Finding finding = finding_of(process, thread.tid, Kind::signal_stack, Severity::unsafe);
    finding.what = fmt::format("has an alternate signal stack of {} bytes", thread.alternate_stack->size);
    finding.why = fmt::format("a signal frame takes up to {} bytes on {}: the next signal would kill the process",
                              *target.minimum_signal_stack, target.name);
    finding.advice = "start it levelled: the level promises the largest frame of its machines (AT_MINSIGSTKSZ)";
    report.findings.push_back(std::move(finding));
}

void judge_unreadable(const Evidence& evidence, const Thread& thread, const Target& target, Report& report) {
    if (thread.unreadable.empty()) return;
    const Snapshot& process = *evidence.process;
    const auto add = [&](Severity severity, std::string what, std::string why) {
        Finding finding = finding_of(process, thread.tid, Kind::unreadable, severity);
        finding.what = std::move(what);
        finding.why = std::move(why);
        finding.advice = "look at the checkpoint after the dump, which has everything: `cpulevel audit FOLDER`";
        report.findings.push_back(std::move(finding));
    };
    if (!thread.stack_pointer) add(Severity::unknown, "may be inside a signal handler", thread.unreadable);
    if (thread.vector_state) return;
    // A program that was never shown more than the target has does not use more, unless it never asks.
    const Shown& shown = evidence.shown;
    const bool within = shown.cpuid_known && (shown.features & target.known).is_subset_of(target.features);
    if (within) {
        add(Severity::note, "its vector registers could not be looked at",
            thread.unreadable + "; it was not shown more than the target has");
    } else {
        add(Severity::unknown, "may use vector registers that the target has not", thread.unreadable);
    }
}

}  // namespace

void judge_threads(const Evidence& evidence, const Target& target, Report& report) {
    const Snapshot& process = *evidence.process;
    for (std::size_t index = 0; index < process.threads.size(); ++index) {
        const Thread& thread = process.threads[index];
        judge_unreadable(evidence, thread, target, report);
        judge_frames(process, thread, evidence.frames[index], target, report);
        judge_vector_state(process, thread, target, report);
        judge_alternate_stack(process, thread, target, report);
        if (process.architecture == arch::Architecture::aarch64) judge_arm_thread(process, thread, target, report);
        if (!thread.shadow_stack) continue;
        const auto shstk = arch::table(arch::Architecture::x86_64).find("shstk");
        const bool there = shstk && target.features.contains(*shstk);
        Finding finding = finding_of(process, thread.tid, Kind::shadow_stack, Severity::unsafe);
        finding.what = "has a shadow stack";
        if (there && process.from_images) {
            finding.severity = Severity::note;
            finding.why = "the checkpoint holds it, and needs a CRIU that knows shadow stacks (4.0 or later) to be restored";
        } else if (there) {
            finding.severity = Severity::note;
            finding.why = "a dump needs a CRIU that knows shadow stacks (4.0 or later)";
        } else {
            finding.why = fmt::format("a machine of {} may not have it: CRIU refuses to restore, or the protection is lost", target.name);
        }
        finding.advice = "start it without: GLIBC_TUNABLES=glibc.cpu.x86_shstk=off";
        report.findings.push_back(std::move(finding));
    }
}

}  // namespace cpulevel::audit
