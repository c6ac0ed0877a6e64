// What the BPF engine's kernel side is given, and what users are told when it cannot be used.
#include "engine/bpf/scope.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "engine/bpf/refusal.h"

namespace cpulevel::engine::bpf {
namespace {

constexpr auto kX86 = arch::Architecture::x86_64;

level::Level level_of(std::optional<std::uint64_t> first, std::optional<std::uint64_t> second, std::optional<std::uint64_t> signal_stack) {
    level::Level level;
    level.name = "l";
    level.hwcap[0] = first;
    level.hwcap[1] = second;
    level.minimum_signal_stack = signal_stack;
    return level;
}

cpulevel_scope scope_of(const level::Level& level, bool strict = false) {
    return make_scope({.level = &level, .strict = strict, .target = "t"});
}

TEST(BpfScope, WordsThatALevelDoesNotHaveAreNotImposed) {
    const cpulevel_scope scope = scope_of(level_of(0x12, std::nullopt, 4096));
    EXPECT_EQ(scope.present, 1U);
    EXPECT_EQ(scope.mask[0], 0x12U);
    EXPECT_EQ(scope.minimum_signal_stack, 4096U);
    EXPECT_EQ(scope.flags, 0U);
}

TEST(BpfScope, AWordOfZeroIsImposed) {
    const auto words = imposed_by_all(kX86, {scope_of(level_of(0, 0, std::nullopt))}).masks.at(inherit::AbiFamily::x86);
    EXPECT_EQ(words[0], 0U);
    EXPECT_EQ(words[1], 0U);
    EXPECT_FALSE(words[2].has_value());
}

TEST(BpfScope, WithoutALevelNothingIsImposed) {
    const cpulevel_scope scope = make_scope({.level = nullptr, .strict = true, .target = "t"});
    EXPECT_EQ(scope.present, 0U);
    EXPECT_EQ(scope.flags, static_cast<unsigned>(CPULEVEL_STRICT));
    const auto imposed = imposed_by_all(kX86, {scope});
    EXPECT_FALSE(imposed.minimum_signal_stack.has_value());
}

TEST(BpfScope, NestedScopesShowWhatAllOfThemShow) {
    std::mt19937_64 random(1);  // NOLINT(bugprone-random-generator-seed): the same cases each time
    for (int round = 0; round < 500; ++round) {
        const auto a = level_of(random(), random() % 2 ? std::optional(random()) : std::nullopt, random() % 9000);
        const auto b = level_of(random() % 2 ? std::optional(random()) : std::nullopt, random(), std::nullopt);
        const auto both = imposed_by_all(kX86, {scope_of(a), scope_of(b)});
        const auto turned = imposed_by_all(kX86, {scope_of(b), scope_of(a)});
        const auto& words = both.masks.at(inherit::AbiFamily::x86);
        EXPECT_EQ(words[0], *a.hwcap[0] & b.hwcap[0].value_or(~std::uint64_t{0}));
        EXPECT_EQ(words[1], *b.hwcap[1] & a.hwcap[1].value_or(~std::uint64_t{0}));
        EXPECT_EQ(words, turned.masks.at(inherit::AbiFamily::x86));
        EXPECT_EQ(both.minimum_signal_stack.value_or(0), *a.minimum_signal_stack);
    }
}

TEST(BpfScope, LongNamesAreCutOffAndEnd) {
    level::Level level = level_of(1, 1, 1);
    level.name = std::string(500, 'n');
    const cpulevel_scope scope = make_scope({.level = &level, .strict = false, .target = std::string(500, 't')});
    EXPECT_EQ(std::string(scope.level), std::string(sizeof scope.level - 1, 'n'));
    EXPECT_EQ(std::string(scope.target), std::string(sizeof scope.target - 1, 't'));
}

TEST(BpfScope, SecurityBitsOfArmAreNotNone) {
    const auto words = security_words(arch::Architecture::aarch64);
    EXPECT_NE(words[0] & (std::uint64_t{1} << 30), 0U) << "HWCAP_PACA";
    EXPECT_NE(words[1] & (std::uint64_t{1} << 17), 0U) << "HWCAP2_BTI";
    EXPECT_EQ(words[0] & 2U, 0U) << "HWCAP_ASIMD protects nothing";
}

Capability probed(Works works, std::string missing) {
    return {.id = "bpf", .title = "BPF engine", .works = works, .need = Need::nothing, .gives = {}, .missing = std::move(missing), .detail = "seen"};
}

TEST(BpfRefusal, WhatTheProbeFoundIsTheReason) {
    const Error error = refusal({.bpf = probed(Works::partial, "lockdown \"integrity\" refuses writing to programs"), .errno_value = EPERM, .step = "load", .log = "noise"});
    EXPECT_EQ(error.kind, ErrorKind::machine);
    EXPECT_NE(error.message().find("lockdown"), std::string::npos);
    EXPECT_EQ(error.message().find("noise"), std::string::npos);
    EXPECT_NE(error.hint.find("cpulevel run"), std::string::npos);
}

TEST(BpfRefusal, WhereTheProbeFoundNothingTheLogIsTold) {
    const Error error = refusal({.bpf = probed(Works::yes, ""), .errno_value = EACCES, .step = "load its programs into the kernel",
                                 .log = "-- BEGIN PROG LOAD LOG --\nR1 invalid mem access\nprocessed 12 insns\n-- END PROG LOAD LOG --\n"});
    EXPECT_NE(error.message().find("load its programs"), std::string::npos);
    EXPECT_NE(error.message().find("Permission denied"), std::string::npos);
    EXPECT_EQ(error.why, "R1 invalid mem access");
}

TEST(BpfRefusal, OnlyTheEndOfALogIsTold) {
    EXPECT_EQ(end_of_log("a\n\nb\n c \nd\n"), "b; c; d");
    EXPECT_EQ(end_of_log(""), "");
    EXPECT_EQ(end_of_log("\x1b[31mred"), "\\x1b[31mred");
}

TEST(BpfRefusal, BuiltWithoutSaysHowToBuildWith) { EXPECT_NE(built_without().hint.find("CPULEVEL_BPF"), std::string::npos); }

}  // namespace
}  // namespace cpulevel::engine::bpf
