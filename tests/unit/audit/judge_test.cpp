// What is held against a process, and what is not. The frames of threads inside a handler are the last of the deaths of
// docs/levelling.md; they are named after the move.
#include "audit/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "frames.h"
#include "level/feature_text.h"
#include "level/named.h"

namespace cpulevel::audit::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const arch::FeatureTable& x86() { return arch::table(arch::Architecture::x86_64); }

Target machine(std::string name, std::uint64_t xcr0, const profile::XsaveLayout& all = intel()) {
    profile::NodeProfile node;
    node.name = std::move(name);
    node.features = level::features_of(x86(), *x86().find_level((xcr0 & 0xe0) != 0 ? "x86-64-v4" : (xcr0 & 4) != 0 ? "x86-64-v3" : "x86-64-v2"));
    node.known = x86().all();
    if (xcr0 != 0) {
        profile::XsaveLayout layout;
        layout.xcr0 = xcr0;
        layout.xcr0_enabled = true;
        layout.standard_size = 576;
        for (const auto& [number, component] : all.components) {
            if ((xcr0 >> number & 1U) == 0) continue;
            layout.components[number] = component;
            layout.standard_size = std::max(layout.standard_size, component.offset + component.size);
        }
        node.xsave = layout;
    }
    return target_of(node);
}
Target nehalem() { return machine("nehalem", 0); }
Target haswell() { return machine("haswell", 7); }
Target skylake_x() { return machine("skylake-x", 0xe7); }

// A process that was shown no more than x86-64-v2, so that only its threads are judged.
Report judged(const Program& program, const Target& target) {
    Evidence evidence = examine(program.snapshot);
    evidence.shown.cpuid_known = true;
    evidence.shown.sources = {"the test"};
    Report report;
    judge(evidence, target, report);
    return report;
}

constexpr std::uint64_t kFrame = kStack + 0x1008, kMain = kStack + 0x20000;

Report in_handler(FrameSpec spec, const Target& target) {
    Program program;
    spec.address = kFrame;
    spec.interrupted_stack = kMain;
    program.push(spec);
    program.thread().blocked_signals = bit(spec.signal);
    return judged(program, target);
}

constexpr FrameSpec kHaswellFrame{.state_size = 832, .described = 7, .header = 7, .filled = 7};
constexpr FrameSpec kSkylakeXFrame{.state_size = 2688, .described = 0xe7, .header = 0x7, .filled = 7};
constexpr FrameSpec kMpxFrame{.state_size = 1088, .described = 0x1f, .header = 0x1f, .filled = 0x1f};

TEST(FrameHaswellToSkylakeX, SmallToLargeKeepsEverything) { EXPECT_THAT(in_handler(kHaswellFrame, skylake_x()).findings, IsEmpty()); }

TEST(FrameSkylakeXToHaswell, LargeToSmallSilentlyLosesUpperYmmHalves) {
    const Report report = in_handler(kSkylakeXFrame, haswell());
    ASSERT_EQ(report.findings.size(), 1U);
    const Finding& finding = report.findings.front();
    EXPECT_EQ(finding.kind, Kind::handler_frame);
    EXPECT_EQ(finding.severity, Severity::unsafe);
    EXPECT_EQ(finding.certainty, Certainty::certain);
    EXPECT_EQ(finding.pid, 42);
    EXPECT_EQ(finding.thread, 42);
    EXPECT_THAT(finding.what, HasSubstr("SIGUSR1"));
    EXPECT_THAT(finding.why, AllOf(HasSubstr("2688 bytes"), HasSubstr("832"), HasSubstr("upper halves of YMM")));
    EXPECT_THAT(finding.advice, HasSubstr("--wait"));
    EXPECT_TRUE(report.waiting_helps());
}

TEST(FrameSkylakeXToHaswell, NothingToLoseIsNoReason) {
    EXPECT_THAT(in_handler({.state_size = 2688, .described = 0xe7, .header = 3, .filled = 0}, haswell()).findings, IsEmpty());
    EXPECT_THAT(in_handler({.state_size = 2688, .described = 0xe7, .header = 7, .filled = 0}, haswell()).findings, IsEmpty());  // named, all zero
}

TEST(FrameOfMpxToSkylakeX, AComponentThatTheTargetLacksKills) {
    const Report report = in_handler(kMpxFrame, skylake_x());
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_THAT(report.findings[0].why, AllOf(HasSubstr("MPX"), HasSubstr("bad frame in rt_sigreturn")));
    EXPECT_FALSE(report.safe());
}

TEST(FrameHaswellToNehalem, WithoutXsaveAllBeyondSseIsLost) {
    const Report report = in_handler(kHaswellFrame, nehalem());
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_THAT(report.findings[0].why, HasSubstr("would be lost"));
    EXPECT_THAT(in_handler({.state_size = 0}, nehalem()).findings, IsEmpty());
}

TEST(FrameIntelToAmd, ComponentsAtOtherPlacesAreReadFromTheWrongBytes) {
    profile::XsaveLayout amd;
    amd.components = {{2, {.size = 256, .offset = 576}}, {5, {.size = 64, .offset = 832}}, {6, {.size = 512, .offset = 896}},
                      {7, {.size = 1024, .offset = 1408}}, {9, {.size = 8, .offset = 2432}}};
    // AMD's area with everything is smaller than Intel's: the frame is taken for one without extended state.
    EXPECT_THAT(in_handler({.state_size = 2688, .described = 0xe7, .header = 0xe7, .filled = 0xe7}, machine("genoa", 0x2e7, amd)).findings,
                Contains(Field(&Finding::why, HasSubstr("would be lost"))));
    Program program;
    program.snapshot.layout->components = amd.components;
    program.push({.address = kFrame, .interrupted_stack = kMain, .state_size = 2432, .described = 0xe7, .header = 0xe7, .filled = 0xe7});
    program.snapshot.layout.reset();  // as in images: the frame's size tells where it was made
    program.thread().blocked_signals = bit(10);
    const Report report = judged(program, skylake_x());
    EXPECT_THAT(report.findings, Contains(Field(&Finding::why, AllOf(HasSubstr("another place"), HasSubstr("AVX-512")))));
}

TEST(FrameToALevel, IsHeldAgainstTheSmallestMachineThatItMayMeet) {
    const auto v3 = level::level_of(x86(), "x86-64-v3", level::features_of(x86(), *x86().find_level("x86-64-v3")), {});
    ASSERT_TRUE(v3);
    const Target target = target_of(*v3);
    EXPECT_EQ(target.components, 7U);
    EXPECT_EQ(target.frame_state, 832U);
    EXPECT_THAT(in_handler(kHaswellFrame, target).findings, Contains(Field(&Finding::kind, Kind::signal_stack)).Times(0));
    EXPECT_THAT(in_handler(kSkylakeXFrame, target).findings, Contains(Field(&Finding::kind, Kind::handler_frame)));
    EXPECT_THAT(in_handler(kHaswellFrame, target).findings, Not(Contains(Field(&Finding::kind, Kind::handler_frame))));
}

TEST(Frame, LeftOverOneIsToldAsSuch) {
    Program program;
    program.push({.address = kFrame, .interrupted_stack = kMain, .state_size = 2688, .described = 0xe7, .header = 7, .filled = 7});
    const Report report = judged(program, haswell());
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_EQ(report.findings[0].certainty, Certainty::likely);
    EXPECT_THAT(report.findings[0].why, HasSubstr("left over"));
}

Report with_state(const VectorState& state, const Target& target) {
    Program program;
    program.thread().vector_state = state;
    return judged(program, target);
}

TEST(VectorState, BeyondTheTargetIsUnsafe) {
    EXPECT_THAT(with_state({.header = 0xe7, .in_use = 0x47, .pkru = {}}, haswell()).findings,
                Contains(AllOf(Field(&Finding::kind, Kind::vector_state), Field(&Finding::what, "uses AVX-512"))));
    EXPECT_THAT(with_state({.header = 0xe7, .in_use = 0x7, .pkru = {}}, haswell()).findings, IsEmpty());
    EXPECT_THAT(with_state({.header = 0x7, .in_use = 0x7, .pkru = {}}, nehalem()).findings,
                Contains(Field(&Finding::what, HasSubstr("upper halves of YMM"))));
}

TEST(VectorState, TilesAreInNoCheckpoint) {
    EXPECT_THAT(with_state({.header = 0x60007, .in_use = 0x60003, .pkru = {}}, machine("spr", 0x602e7)).findings,
                Contains(AllOf(Field(&Finding::kind, Kind::vector_state), Field(&Finding::why, HasSubstr("CRIU")))));
}

TEST(VectorState, KeysCountWhereTheyRestrict) {
    EXPECT_THAT(with_state({.header = 0x203, .in_use = 0x203, .pkru = 0x55555550}, haswell()).findings,
                Contains(AllOf(Field(&Finding::kind, Kind::protection_keys), Field(&Finding::what, HasSubstr("0x55555550")))));
    EXPECT_THAT(with_state({.header = 0x203, .in_use = 0x3, .pkru = kInitialPkru}, haswell()).findings, IsEmpty());
}

TEST(VectorState, ShadowStack) {
    Program program;
    program.thread().shadow_stack = true;
    EXPECT_THAT(judged(program, haswell()).findings,
                Contains(AllOf(Field(&Finding::kind, Kind::shadow_stack), Field(&Finding::severity, Severity::unsafe))));
    Target there = haswell();
    there.features.insert(*x86().find("shstk"));
    EXPECT_TRUE(judged(program, there).safe());
}

TEST(Unreadable, TracedThreadIsANoteWhereItWasShownNoMore) {
    Program program;
    program.thread().vector_state.reset();
    program.thread().unreadable = "process 7 traces it";
    const Report within = judged(program, haswell());
    EXPECT_TRUE(within.safe());
    EXPECT_THAT(within.findings, Contains(Field(&Finding::kind, Kind::unreadable)));
    Evidence evidence = examine(program.snapshot);  // nothing known of what it was shown
    Report report;
    judge(evidence, haswell(), report);
    EXPECT_FALSE(report.safe());
    program.thread().stack_pointer.reset();
    EXPECT_FALSE(judged(program, haswell()).safe());  // it may be in a handler
}

TEST(Start, LibrariesOfAHigherLevel) {
    Program program;
    program.snapshot.mappings.insert(program.snapshot.mappings.begin() + 1,
                                     {0x500000, 0x501000, true, false, true, "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v4/libz.so.1"});
    const Report report = judged(program, haswell());
    EXPECT_THAT(report.findings, Contains(AllOf(Field(&Finding::kind, Kind::hwcaps_library), Field(&Finding::what, HasSubstr("libz.so.1")),
                                                Field(&Finding::why, HasSubstr("avx512")))));
    EXPECT_TRUE(judged(program, skylake_x()).safe());
    program.snapshot.mappings[1].path = "/lib/glibc-hwcaps/x86-64-v9/libz.so.1";
    EXPECT_THAT(judged(program, skylake_x()).findings, Contains(Field(&Finding::severity, Severity::unknown)));
}

TEST(Start, SignalStackThatWasPromisedTooSmall) {
    Program program;
    program.snapshot.aux_vector = inherit::AuxVector(inherit::WordSize::bits64, {{inherit::kAtMinimumSignalStack, 1808}});
    Target target = haswell();
    target.minimum_signal_stack = 3632;
    EXPECT_THAT(judged(program, target).findings, Contains(AllOf(Field(&Finding::kind, Kind::signal_stack), Field(&Finding::severity, Severity::unsafe))));
    target.minimum_signal_stack = 1808;
    EXPECT_TRUE(judged(program, target).safe());
    program.snapshot.from_images = true;  // a checkpoint tells that nobody has an alternate stack
    target.minimum_signal_stack = 3632;
    EXPECT_TRUE(judged(program, target).safe());
    program.thread().alternate_stack = {kAlternate, 2048};
    EXPECT_FALSE(judged(program, target).safe());
}

TEST(Start, TilePermission) {
    Program program;
    Evidence evidence = examine(program.snapshot);
    evidence.shown.cpuid_known = true;
    evidence.shown.features.insert(*x86().find("amx_tile"));
    Target spr = machine("spr", 0x602e7);
    spr.features.insert(*x86().find("amx_tile"));
    Report report;
    judge(evidence, spr, report);
    EXPECT_THAT(report.findings, Contains(AllOf(Field(&Finding::kind, Kind::tile_permission), Field(&Finding::severity, Severity::unknown))));
    evidence.frames[0].frames.emplace_back().described = 0x602e7;
    Report proven;
    judge(evidence, spr, proven);
    EXPECT_THAT(proven.findings, Contains(AllOf(Field(&Finding::kind, Kind::tile_permission), Field(&Finding::severity, Severity::unsafe))));
}

TEST(Arm, VectorLengthAndKeys) {
    const auto& arm = arch::table(arch::Architecture::aarch64);
    Program program;
    program.snapshot.architecture = arch::Architecture::aarch64;
    program.snapshot.aux_vector = inherit::AuxVector(inherit::WordSize::bits64, {{inherit::kAtHwcap, arm.to_hwcap(level::named_features(arm, {"fp", "asimd", "paca"}), 0)}});
    program.thread().sve_vector_length = 64;
    program.thread().pointer_keys = true;
    profile::NodeProfile node;
    node.name = "a72";
    node.architecture = arch::Architecture::aarch64;
    node.features = level::named_features(arm, {"fp", "asimd"});
    node.known = arm.all();
    Report report;
    judge(examine(program.snapshot), target_of(node), report);
    EXPECT_THAT(report.findings, Contains(AllOf(Field(&Finding::kind, Kind::vector_length), Field(&Finding::why, HasSubstr("no SVE")))));
    EXPECT_THAT(report.findings, Contains(Field(&Finding::kind, Kind::pointer_keys)));
    EXPECT_THAT(report.findings, Contains(AllOf(Field(&Finding::kind, Kind::started_beyond), Field(&Finding::what, HasSubstr("paca")))));
}

TEST(Arm, ProcessOfAnotherArchitecture) {
    Program program;
    program.snapshot.architecture = arch::Architecture::aarch64;
    Report report;
    judge(examine(program.snapshot), haswell(), report);
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_EQ(report.findings[0].kind, Kind::architecture);
}

TEST(Report, JsonHasWhatTheTextHas) {
    const nlohmann::json json = to_json(in_handler(kSkylakeXFrame, haswell()));
    EXPECT_EQ(json["schema"], "cpulevel/audit/1");
    EXPECT_EQ(json["safe"], false);
    EXPECT_EQ(json["waiting_helps"], true);
    EXPECT_EQ(json["findings"][0]["kind"], "handler_frame");
    EXPECT_EQ(json["findings"][0]["thread"], 42);
    EXPECT_EQ(json["processes"][0]["signal_frames"], 1);
}

}  // namespace
}  // namespace cpulevel::audit::test
