// Each rule of docs/inheritance.md as a test named after it, on values alone. The bugs of the kernel series' fourth
// and fifth versions, as its reviewers found them, are tests too.
#include <gtest/gtest.h>

#include "inherit/marks.h"
#include "inherit/tree.h"

namespace cpulevel::inherit {
namespace {

constexpr TaskId kInit{1}, kChild{2}, kThread{3}, kOther{4};
constexpr std::uint64_t kAtRandom = 25, kAtEntry = 9, kAtProgramHeaders = 3;

AuxVector vector64(std::vector<AuxEntry> entries) { return AuxVector(WordSize::bits64, std::move(entries)); }
AuxVector vector32(std::vector<AuxEntry> entries) { return AuxVector(WordSize::bits32, std::move(entries)); }

// A new program on a machine with AT_HWCAP 0xff, AT_HWCAP2 0x0f and AT_HWCAP3 0x7.
ExecFacts facts(AbiFamily abi = AbiFamily::aarch64) {
    ExecFacts result;
    result.abi = abi;
    result.machine = vector64({{kAtProgramHeaders, 0x400040},
                               {kAtHwcap, 0xff},
                               {kAtPageSize, 4096},
                               {kAtHwcap2, 0x0f},
                               {kAtRandom, 0x7ffc1234},
                               {kAtHwcap3, 0x7},
                               {kAtMinimumSignalStack, 3632}});
    return result;
}

// The vector that the new program sees.
AuxVector shown(const ExecFacts& facts, const ExecOutcome& outcome) {
    AuxVector vector = facts.machine;
    for (const AuxEdit& edit : outcome.edits) EXPECT_TRUE(vector.replace(edit.type, edit.value)) << edit.type;
    return vector;
}

Marks marked(const AuxVector& saved, AbiFamily abi = AbiFamily::aarch64) { return after_prctl({}, abi, saved); }

TEST(Inheritance, Rule1MarkIsSetByPrctlEvenIfNoWordChanged) {
    EXPECT_FALSE(Marks{}.marked());
    EXPECT_TRUE(marked(facts().machine).marked()) << "the machine's own words";
    EXPECT_TRUE(marked(vector64({})).marked()) << "a vector without any HWCAP word";
}

TEST(Inheritance, Rule1MarkUnmarkedProgramKeepsTheMachinesVector) {
    const ExecOutcome outcome = after_exec({}, facts(), {});
    EXPECT_TRUE(outcome.edits.empty());
    EXPECT_FALSE(outcome.marks.marked());
}

TEST(Inheritance, Rule1MarkAnotherPrctlReplacesAllWords) {
    Marks marks = marked(vector64({{kAtHwcap, 1}, {kAtHwcap2, 1}}));
    marks = after_prctl(marks, AbiFamily::aarch64, vector64({{kAtHwcap, 0xf0}}));
    const AuxVector vector = shown(facts(), after_exec(marks, facts(), {}));
    EXPECT_EQ(vector.find(kAtHwcap), 0xf0U);
    EXPECT_EQ(vector.find(kAtHwcap2), 0x0fU);
}

TEST(Inheritance, Rule2ForkCopiesMarkAndValues) {
    Tree tree;
    tree.start(kInit);
    tree.prctl(kInit, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    tree.fork(kInit, kChild);
    tree.prctl(kInit, AbiFamily::aarch64, vector64({{kAtHwcap, 0x30}}));
    EXPECT_EQ(tree.images(), 2U);
    EXPECT_EQ(shown(facts(), tree.exec(kChild, facts(), {})).find(kAtHwcap), 0x3U) << "the parent's values at fork";
    EXPECT_EQ(shown(facts(), tree.exec(kInit, facts(), {})).find(kAtHwcap), 0x30U);
}

TEST(Inheritance, Rule2ForkChildsPrctlDoesNotReachTheParent) {
    Tree tree;
    tree.start(kInit);
    tree.fork(kInit, kChild);
    tree.prctl(kChild, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    EXPECT_TRUE(tree.exec(kInit, facts(), {}).edits.empty());
}

TEST(Inheritance, Rule2ThreadsShareTheMark) {
    Tree tree;
    tree.start(kInit);
    tree.share(kInit, kThread);
    EXPECT_EQ(tree.images(), 1U);
    tree.prctl(kThread, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    EXPECT_TRUE(tree.marks(kInit).marked());
    tree.exit(kThread);
    EXPECT_EQ(shown(facts(), tree.exec(kInit, facts(), {})).find(kAtHwcap), 0x3U);
}

TEST(Inheritance, Rule2VforkSharesUntilItsExec) {
    Tree tree;
    tree.start(kInit);
    tree.share(kInit, kChild);
    tree.prctl(kChild, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    EXPECT_TRUE(tree.marks(kInit).marked()) << "the vfork child runs in the parent's image";
    tree.exec(kChild, facts(), {});
    EXPECT_EQ(tree.images(), 2U);
    tree.prctl(kChild, AbiFamily::aarch64, vector64({{kAtHwcap, 0x1}}));
    EXPECT_EQ(tree.marks(kInit).values.at(AbiFamily::aarch64)[0], 0x3U) << "after its exec it has one of its own";
}

TEST(Inheritance, Rule3ExecGivesSavedAndMachine) {
    const Marks marks = marked(vector64({{kAtHwcap, 0x0f}, {kAtHwcap2, 0x09}, {kAtHwcap3, 0x5}, {kAtHwcap4, 0x1}}));
    const ExecOutcome outcome = after_exec(marks, facts(), {});
    EXPECT_EQ(outcome.edits, (std::vector<AuxEdit>{{kAtHwcap, 0x0f}, {kAtHwcap2, 0x09}, {kAtHwcap3, 0x5}}))
        << "in the vector's order, and no AT_HWCAP4, which the machine does not have";
    EXPECT_TRUE(outcome.marks.marked());
}

TEST(Inheritance, Rule3ExecIsTransitive) {
    Tree tree;
    tree.start(kInit);
    tree.prctl(kInit, AbiFamily::aarch64, vector64({{kAtHwcap, 0x0f}}));
    TaskId task = kInit;
    for (std::uint64_t generation = 10; generation < 30; ++generation) {
        EXPECT_EQ(shown(facts(), tree.exec(task, facts(), {})).find(kAtHwcap), 0x0fU) << generation;
        EXPECT_TRUE(tree.marks(task).marked());
        tree.fork(task, TaskId{generation});
        tree.exit(task);
        task = TaskId{generation};
    }
}

TEST(Inheritance, Rule3ExecByANonLeaderThreadTakesTheSharedMark) {
    Tree tree;
    tree.start(kInit);
    tree.share(kInit, kThread);
    tree.share(kInit, kOther);
    tree.prctl(kOther, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    tree.exit(kOther);
    const ExecOutcome outcome = tree.exec(kThread, kInit, facts(), {});
    EXPECT_EQ(shown(facts(), outcome).find(kAtHwcap), 0x3U);
    EXPECT_TRUE(tree.marks(kInit).marked());
    EXPECT_EQ(tree.tasks(), 1U) << "the thread has become the leader";
}

TEST(Inheritance, Rule3ExecScanStopsAtAtNull) {
    const std::array<std::uint64_t, 6> words{kAtHwcap, 0x3, kAtNull, 0, kAtHwcap2, 0};
    const auto saved = AuxVector::parse(std::as_bytes(std::span(words)), WordSize::bits64);
    ASSERT_TRUE(saved);
    const AuxVector vector = shown(facts(), after_exec(marked(*saved), facts(), {}));
    EXPECT_EQ(vector.find(kAtHwcap), 0x3U);
    EXPECT_EQ(vector.find(kAtHwcap2), 0x0fU) << "the word behind AT_NULL was not saved";
}

TEST(Inheritance, Rule4OnlyEverRemovesBits) {
    const Marks marks = marked(vector64({{kAtHwcap, ~std::uint64_t{0}}, {kAtHwcap2, 0xf1}}));
    const AuxVector vector = shown(facts(), after_exec(marks, facts(), {}));
    EXPECT_EQ(vector.find(kAtHwcap), 0xffU);
    EXPECT_EQ(vector.find(kAtHwcap2), 0x1U);
}

TEST(Inheritance, Rule4OnlyEverRemovesABitThatOneMachineLackedStaysAway) {
    // A tree that was moved: the program in the middle ran where bit 0 is missing.
    ExecFacts poorer = facts();
    poorer.machine.replace(kAtHwcap, 0xfe);
    const Marks first = marked(vector64({{kAtHwcap, 0x0f}}));
    const ExecOutcome middle = after_exec(first, poorer, {});
    EXPECT_EQ(shown(facts(), after_exec(middle.marks, facts(), {})).find(kAtHwcap), 0x0eU);
}

TEST(Inheritance, Rule5MissingWordKeepsTheMachinesValue) {  // version 5 of the series made it 0
    const ExecOutcome outcome = after_exec(marked(vector64({{kAtHwcap2, 0x1}})), facts(), {});
    EXPECT_EQ(outcome.edits, (std::vector<AuxEdit>{{kAtHwcap2, 0x1}}));
}

TEST(Inheritance, Rule5MissingWordIsNotAWordOfZero) {
    const AuxVector vector = shown(facts(), after_exec(marked(vector64({{kAtHwcap, 0}})), facts(), {}));
    EXPECT_EQ(vector.find(kAtHwcap), 0U);
    EXPECT_EQ(vector.find(kAtHwcap2), 0x0fU);
}

TEST(Inheritance, Rule5MissingWordOfAllKindsChangesNothingButMarks) {
    const ExecOutcome outcome = after_exec(marked(vector64({})), facts(), {});
    EXPECT_TRUE(outcome.edits.empty());
    EXPECT_TRUE(outcome.marks.marked());
}

TEST(Inheritance, Rule6EverythingElseIsTheNewProgramsOwn) {
    const Marks marks = marked(vector64({{kAtRandom, 1}, {kAtEntry, 2}, {kAtProgramHeaders, 3}, {kAtPageSize, 1},
                                         {kAtMinimumSignalStack, 1}, {kAtHwcap, 0x3}}));
    const ExecOutcome outcome = after_exec(marks, facts(), {});
    EXPECT_EQ(outcome.edits, (std::vector<AuxEdit>{{kAtHwcap, 0x3}}));
}

TEST(Inheritance, Rule7WhereItShowsEditsFitTheNewVectorAndNothingIsAdded) {
    const Marks marks = marked(vector64({{kAtHwcap4, 0}, {kAtHwcap, 0}}));
    ExecFacts twice = facts();
    twice.machine = vector64({{kAtHwcap, 0xff}, {kAtHwcap, 0xff}});
    const ExecOutcome outcome = after_exec(marks, twice, {});
    EXPECT_EQ(outcome.edits, (std::vector<AuxEdit>{{kAtHwcap, 0}})) << "one edit a type: it changes the first entry";
}

TEST(Inheritance, Rule8ConcurrencyPrctlBeforeOrAfterExecGivesNewOrOldWordsWhole) {
    const AuxVector old_words = vector64({{kAtHwcap, 0x0f}, {kAtHwcap2, 0x0c}, {kAtHwcap3, 0x1}});
    const AuxVector new_words = vector64({{kAtHwcap, 0xf0}, {kAtHwcap2, 0x03}, {kAtHwcap3, 0x6}});
    for (const bool prctl_first : {true, false}) {
        Tree tree;
        tree.start(kInit);
        tree.prctl(kInit, AbiFamily::aarch64, old_words);
        tree.share(kInit, kThread);
        if (prctl_first) tree.prctl(kThread, AbiFamily::aarch64, new_words);
        tree.exit(kThread);
        const AuxVector vector = shown(facts(), tree.exec(kInit, facts(), {}));
        const AuxVector& expected = prctl_first ? new_words : old_words;
        for (const AuxEntry& entry : expected.entries()) EXPECT_EQ(vector.find(entry.type), entry.value);
    }
}

TEST(Inheritance, Rule8ConcurrencyPrctlInAVforkChildAfterTheParentsExecIsNotTheParents) {
    Tree tree;
    tree.start(kInit);
    tree.share(kInit, kChild);  // CLONE_VM without CLONE_VFORK: both run
    tree.exec(kInit, facts(), {});
    tree.prctl(kChild, AbiFamily::aarch64, vector64({{kAtHwcap, 0}}));
    EXPECT_FALSE(tree.marks(kInit).marked());
}

TEST(Inheritance, Rule9AbiSwitchDoesNotPut64BitBitsInto32BitPrograms) {  // version 4 killed an init so
    ExecFacts arm = facts(AbiFamily::arm32);
    arm.machine = vector32({{kAtHwcap, 0x37b0d7}, {kAtHwcap2, 0x1f}});
    const ExecOutcome outcome = after_exec(marked(vector64({{kAtHwcap, 0x3}, {kAtHwcap2, 0}})), arm, {});
    EXPECT_TRUE(outcome.edits.empty());
}

TEST(Inheritance, Rule9AbiSwitch64To32To64DoesNotEscape) {  // version 5 dropped the mark on the way
    Tree tree;
    tree.start(kInit);
    tree.prctl(kInit, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    ExecFacts arm = facts(AbiFamily::arm32);
    arm.machine = vector32({{kAtHwcap, 0x37b0d7}});
    EXPECT_TRUE(tree.exec(kInit, arm, {}).edits.empty());
    EXPECT_TRUE(tree.marks(kInit).marked());
    EXPECT_EQ(shown(facts(), tree.exec(kInit, facts(), {})).find(kAtHwcap), 0x3U);
}

TEST(Inheritance, Rule9AbiSwitchEachFamilyHasItsOwnWords) {
    Marks marks = marked(vector64({{kAtHwcap, 0x3}}));
    marks = after_prctl(marks, AbiFamily::arm32, vector32({{kAtHwcap, 0x10}}));
    ExecFacts arm = facts(AbiFamily::arm32);
    arm.machine = vector32({{kAtHwcap, 0xff}});
    const ExecOutcome in_between = after_exec(marks, arm, {});
    EXPECT_EQ(shown(arm, in_between).find(kAtHwcap), 0x10U);
    EXPECT_EQ(shown(facts(), after_exec(in_between.marks, facts(), {})).find(kAtHwcap), 0x3U);
}

TEST(Inheritance, Rule9AbiSwitchX86ProgramsOfAllSizesShareOneMeaning) {
    EXPECT_EQ(abi_family(arch::Architecture::x86_64, WordSize::bits32),
              abi_family(arch::Architecture::x86_64, WordSize::bits64));
    EXPECT_NE(abi_family(arch::Architecture::aarch64, WordSize::bits32),
              abi_family(arch::Architecture::aarch64, WordSize::bits64));
    ExecFacts i386 = facts(AbiFamily::x86);
    i386.machine = vector32({{kAtHwcap, 0xff}});
    const ExecOutcome outcome = after_exec(marked(vector64({{kAtHwcap, 0x1'0000'000f}}), AbiFamily::x86), i386, {});
    EXPECT_EQ(shown(i386, outcome).find(kAtHwcap), 0x0fU);
    EXPECT_EQ(outcome.marks.values.at(AbiFamily::x86)[0], 0x1'0000'000fU) << "the upper half is not the i386's to drop";
}

class Rule10 : public testing::Test {
   protected:
    static constexpr std::uint64_t kSecurity = 0xc0;  // of AT_HWCAP
    static ExecFacts privileged() {
        ExecFacts result = facts();
        result.secure = true;
        result.security_bits[0] = kSecurity;
        return result;
    }
    static ExecFacts ordinary() {
        ExecFacts result = privileged();
        result.secure = false;
        return result;
    }
    const Marks mark_ = marked(vector64({{kAtHwcap, 0x41}, {kAtHwcap2, 0x1}}));
};

TEST_F(Rule10, SecureProgramSeesItsSecurityFeaturesWhateverTheMark) {
    const AuxVector vector = shown(privileged(), after_exec(mark_, privileged(), {}));
    EXPECT_EQ(vector.find(kAtHwcap), 0xc1U) << "0x80 comes back, the other hidden bits do not";
    EXPECT_EQ(vector.find(kAtHwcap2), 0x1U);
}

TEST_F(Rule10, SecureOnlyMattersForPrivilegedPrograms) {
    EXPECT_EQ(shown(ordinary(), after_exec(mark_, ordinary(), {})).find(kAtHwcap), 0x41U);
}

TEST_F(Rule10, SecureNeverShowsWhatTheMachineLacks) {
    ExecFacts poor = privileged();
    poor.machine.replace(kAtHwcap, 0x4f);
    EXPECT_EQ(shown(poor, after_exec(mark_, poor, {})).find(kAtHwcap), 0x41U);
}

TEST_F(Rule10, SecureProgramsDescendantsAreNotWeakenedEither) {  // sudo's child runs with AT_SECURE = 0
    const ExecOutcome sudo = after_exec(mark_, privileged(), {});
    const ExecOutcome child = after_exec(sudo.marks, ordinary(), {});
    EXPECT_EQ(shown(ordinary(), child).find(kAtHwcap), 0xc1U);
    EXPECT_TRUE(child.marks.marked());
}

TEST_F(Rule10, SecureProgramsDescendantsAreNotWeakenedThroughAnotherAbi) {
    ExecFacts arm = facts(AbiFamily::arm32);
    arm.secure = true;
    const ExecOutcome setuid_arm = after_exec(mark_, arm, {});
    EXPECT_EQ(shown(ordinary(), after_exec(setuid_arm.marks, ordinary(), {})).find(kAtHwcap), 0xc1U);
}

TEST_F(Rule10, SecureProgramMayHideThemFromItsOwnChildren) {
    const ExecOutcome sudo = after_exec(mark_, privileged(), {});
    const Marks own = after_prctl(sudo.marks, AbiFamily::aarch64, vector64({{kAtHwcap, 0x3}}));
    EXPECT_EQ(shown(ordinary(), after_exec(own, ordinary(), {})).find(kAtHwcap), 0x3U);
}

TEST_F(Rule10, SecureProgramsAdministratorsLevelMayHideThem) {
    const Imposed level = imposed_by(arch::Architecture::aarch64, {0x0f}, std::nullopt);
    EXPECT_EQ(shown(privileged(), after_exec({}, privileged(), level)).find(kAtHwcap), 0x0fU);
    EXPECT_EQ(shown(privileged(), after_exec(mark_, privileged(), level)).find(kAtHwcap), 0x01U);
}

TEST(Imposed, LevelMasksUnmarkedProgramsWithoutMarkingThem) {
    const ExecOutcome outcome = after_exec({}, facts(), imposed_by(arch::Architecture::aarch64, {0x0f, 0x3}, {}));
    EXPECT_EQ(outcome.edits, (std::vector<AuxEdit>{{kAtHwcap, 0x0f}, {kAtHwcap2, 0x3}}));
    EXPECT_FALSE(outcome.marks.marked());
}

TEST(Imposed, LevelAndMarkBothApply) {
    const Marks marks = marked(vector64({{kAtHwcap, 0x3c}}));
    const ExecOutcome outcome = after_exec(marks, facts(), imposed_by(arch::Architecture::aarch64, {0x0f}, {}));
    EXPECT_EQ(shown(facts(), outcome).find(kAtHwcap), 0x0cU);
    EXPECT_EQ(outcome.marks.values.at(AbiFamily::aarch64)[0], 0x3cU) << "the level is no part of the mark";
}

TEST(Imposed, LevelOfOneAbiSaysNothingToAnother) {
    ExecFacts arm = facts(AbiFamily::arm32);
    arm.machine = vector32({{kAtHwcap, 0xff}});
    EXPECT_TRUE(after_exec({}, arm, imposed_by(arch::Architecture::aarch64, {0x0f}, {})).edits.empty());
}

TEST(Imposed, SignalStackGrowsToTheLevelsButNeverShrinks) {
    const auto edits = [](std::uint64_t bytes) {
        return after_exec({}, facts(), imposed_by(arch::Architecture::aarch64, {}, bytes)).edits;
    };
    EXPECT_EQ(edits(11952), (std::vector<AuxEdit>{{kAtMinimumSignalStack, 11952}}));
    EXPECT_TRUE(edits(3632).empty());
    EXPECT_TRUE(edits(1024).empty());
}

TEST(Imposed, SignalStackIsNotAddedWhereTheKernelGivesNone) {
    ExecFacts old_kernel = facts();
    old_kernel.machine = vector64({{kAtHwcap, 0xff}});
    EXPECT_TRUE(after_exec({}, old_kernel, imposed_by(arch::Architecture::aarch64, {}, 11952)).edits.empty());
}

TEST(Tree, ExitFreesWhatNobodyShares) {
    Tree tree;
    tree.start(kInit);
    tree.share(kInit, kThread);
    tree.fork(kInit, kChild);
    EXPECT_EQ(tree.tasks(), 3U);
    EXPECT_EQ(tree.images(), 2U);
    tree.exit(kInit);
    EXPECT_EQ(tree.images(), 2U) << "the thread still has it";
    tree.exit(kThread);
    tree.exit(kChild);
    tree.exit(kChild);
    EXPECT_EQ(tree.tasks(), 0U);
    EXPECT_EQ(tree.images(), 0U);
}

TEST(Tree, TaskNeverReportedIsAnUnmarkedImage) {
    Tree tree;
    EXPECT_FALSE(tree.marks(kInit).marked());
    tree.share(kInit, kThread);
    tree.prctl(kThread, AbiFamily::aarch64, vector64({{kAtHwcap, 0}}));
    EXPECT_TRUE(tree.marks(kInit).marked());
}

TEST(Tree, AReusedIdStartsAnew) {
    Tree tree;
    tree.start(kInit);
    tree.start(kChild, marked(vector64({{kAtHwcap, 0}})));
    tree.fork(kInit, kChild);  // the exit of the former kChild was not reported
    EXPECT_FALSE(tree.marks(kChild).marked());
}

}  // namespace
}  // namespace cpulevel::inherit
