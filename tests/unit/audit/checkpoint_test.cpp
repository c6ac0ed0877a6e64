// Real checkpoints, end to end: tests/fixtures/images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "audit/audit.h"
#include "level/named.h"
#include "../source_folder.h"

namespace cpulevel::audit {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

const std::string kFixtures = ::cpulevel::test::source_folder() + "/tests/fixtures/images/";

Target named(const char* name) {
    const auto& table = arch::table(arch::Architecture::x86_64);
    return target_of(*level::level_of(table, name, level::features_of(table, *table.find_level(name)), {}));
}

// A machine like the one where the dumps were made.
Target same_machine() {
    profile::NodeProfile node;
    node.name = "same";
    const auto& table = arch::table(arch::Architecture::x86_64);
    node.features = node.known = table.all();
    profile::XsaveLayout layout;
    layout.xcr0 = 0xe7;
    layout.xcr0_enabled = true;
    layout.standard_size = layout.maximum_size = 2432;
    layout.compacted_size = 2432;
    layout.components = {{2, {.size = 256, .offset = 576}}, {5, {.size = 64, .offset = 832}}, {6, {.size = 512, .offset = 896}}, {7, {.size = 1024, .offset = 1408}}};
    node.xsave = layout;
    node.minimum_signal_stack = 3376;
    return target_of(node);
}

TEST(Checkpoint, ThreadInAHandlerOnItsAlternateStack) {
    const auto report = audit_images(kFixtures + "criu-4.1-handler", named("x86-64-v3"));
    ASSERT_TRUE(report) << report.error().message();
    ASSERT_EQ(report->processes.size(), 1U);
    EXPECT_EQ(report->processes[0].process, "victim");
    EXPECT_EQ(report->processes[0].threads, 2U);
    EXPECT_EQ(report->processes[0].handlers, 1U);
    EXPECT_THAT(report->findings, Contains(AllOf(Field(&Finding::kind, Kind::handler_frame), Field(&Finding::thread, 17), Field(&Finding::pid, 15),
                                                 Field(&Finding::certainty, Certainty::certain), Field(&Finding::what, HasSubstr("SIGUSR2")),
                                                 Field(&Finding::why, HasSubstr("2432 bytes")))));
    EXPECT_FALSE(report->safe());
    EXPECT_FALSE(report->waiting_helps());  // a checkpoint does not change
}

TEST(Checkpoint, WhatGlibcRecordedIsRead) {
    const auto report = audit_images(kFixtures + "criu-4.1-quiet", named("x86-64-v3"));
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_THAT(report->processes[0].shown, AllOf(HasSubstr("x86-64-v4"), HasSubstr("glibc's record")));
    EXPECT_THAT(report->findings, Contains(AllOf(Field(&Finding::kind, Kind::started_beyond), Field(&Finding::what, HasSubstr("avx512")))));
    EXPECT_THAT(report->findings, Not(Contains(Field(&Finding::kind, Kind::handler_frame))));
    EXPECT_THAT(report->findings, Not(Contains(Field(&Finding::kind, Kind::vector_state))));
}

// Our own processes are shown the machine's own features, and do without them.
TEST(Checkpoint, WhatIsOurOwnAndPortableMayGoAnywhere) {
    const std::array<pid_t, 1> portable{39};
    const auto report = audit_images(kFixtures + "criu-4.1-quiet", named("x86-64"), portable);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_TRUE(report->safe());
    EXPECT_TRUE(report->findings.empty());
    EXPECT_THAT(report->processes[0].shown, HasSubstr("cpulevel itself"));
}

TEST(Checkpoint, BackToAMachineLikeItsOwnIsSafe) {
    for (const char* name : {"criu-4.1-quiet", "criu-4.1-handler"}) {
        const auto report = audit_images(kFixtures + name, same_machine());
        ASSERT_TRUE(report) << report.error().message();
        for (const Finding& finding : report->findings) EXPECT_EQ(finding.severity, Severity::note) << finding.what << ": " << finding.why;
    }
}

// Upwards: its ld.so uses XSAVEC with a buffer for its own machine.
TEST(Checkpoint, ToAMachineWithALargerAreaTheResolverOverflows) {
    Target larger = same_machine();
    larger.largest_compacted_area = 2760;
    const auto report = audit_images(kFixtures + "criu-4.1-quiet", larger);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_THAT(report->findings, Contains(AllOf(Field(&Finding::kind, Kind::resolver_area), Field(&Finding::severity, Severity::unsafe),
                                                 Field(&Finding::why, HasSubstr("2760 bytes")))));
}

}  // namespace
}  // namespace cpulevel::audit
