// All pairs of real machines. The corpus is found through CPULEVEL_CORPUS (its README.md has the licences); nothing of
// it is in this repository.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "level/compare.h"
#include "level/expression.h"
#include "level/level_json.h"
#include "level/meet.h"
#include "profile/import.h"
#include "samples.h"

namespace cpulevel::level::test {
namespace {

namespace fs = std::filesystem;

// Every x86 dump that can be read, one of each kind: machines with the same features and layout meet alike.
const std::vector<profile::NodeProfile>& machines() {
    static const std::vector<profile::NodeProfile> all = [] {
        std::vector<profile::NodeProfile> found;
        const char* root = std::getenv("CPULEVEL_CORPUS");
        if (root == nullptr) return found;
        std::vector<fs::path> files;
        for (const char* folder : {"libcpuid", "instlatx64"}) {
            if (!fs::exists(fs::path(root) / folder)) continue;
            for (const auto& entry : fs::recursive_directory_iterator(fs::path(root) / folder)) {
                if (entry.is_regular_file()) files.push_back(entry.path());
            }
        }
        std::ranges::sort(files);
        std::map<std::string, bool> seen;
        for (const fs::path& file : files) {
            auto profile = profile::load_profile(file.string());
            if (!profile || profile->architecture != arch::Architecture::x86_64) continue;
            std::string kind;
            profile->features.for_each([&](arch::FeatureId feature) { kind += std::to_string(feature.value) + ","; });
            if (profile->xsave) kind += std::to_string(profile->xsave->maximum_size);
            if (!seen.emplace(kind, true).second) continue;
            profile->name = file.filename().string();
            found.push_back(*std::move(profile));
        }
        return found;
    }();
    return all;
}

class Corpus : public testing::Test {
   protected:
    void SetUp() override {
        if (std::getenv("CPULEVEL_CORPUS") == nullptr) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS is not set";
        ASSERT_GT(machines().size(), 20U) << "CPULEVEL_CORPUS has hardly any dumps";
    }
};

// An optimised build takes all pairs. A debug or sanitizer build takes every ninth, starting elsewhere for each machine,
// to be done in seconds.
#ifdef NDEBUG
constexpr std::size_t kStride = 1;
#else
constexpr std::size_t kStride = 9;
#endif

// The set, the layout and the projections, for each pair.
TEST_F(Corpus, PairsMeetSoundly) {
    const auto& all = machines();
    std::size_t pairs = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        for (std::size_t j = i + 1 + i % kStride; j < all.size(); j += kStride) {
            const std::vector nodes{all[i], all[j]};
            const Meet met = must_meet(nodes);
            const Level& level = met.level;
            ++pairs;
            const std::string what = all[i].name + " and " + all[j].name;
            ASSERT_EQ(contradiction(level), "") << what;
            const arch::FeatureSet common = all[i].features & all[j].features;
            ASSERT_TRUE(level.features.is_subset_of(common)) << what;
            ASSERT_EQ(met.losses.size(), ((all[i].features | all[j].features) - level.features).size()) << what;
            const Level reverse = must_meet({all[j], all[i]}).level;
            ASSERT_EQ(reverse.features, level.features) << what;
            ASSERT_EQ(reverse.hwcap, level.hwcap) << what;
            for (const auto& machine : nodes) {
                const Answer answer = may_start(level, machine);
                ASSERT_NE(answer.verdict, Verdict::no) << what << ": " << answer.reasons.front();
                if (level.xsave && machine.xsave) {
                    ASSERT_GE(level.xsave->standard_size, machine.xsave->standard_size) << what;
                }
            }
        }
    }
    EXPECT_GT(pairs, all.size());
}

TEST_F(Corpus, MeetingOneselfKeepsAllButTheNeverFeatures) {
    for (const auto& machine : machines()) {
        const Level once = must_meet({machine}).level;
        const Level twice = must_meet({machine, machine}).level;
        ASSERT_EQ(once.features, twice.features) << machine.name;
        ASSERT_EQ(once.cpuid, twice.cpuid) << machine.name;
        const auto again = from_json(to_json(once), "level.json");
        ASSERT_TRUE(again) << machine.name << again.error().message();
    }
}

TEST_F(Corpus, TriplesAreAssociative) {
    const auto& all = machines();
    for (std::size_t i = 0; i + 40 < all.size(); i += 2) {
        const auto &a = all[i], &b = all[i + 17], &c = all[i + 40];
        const Level whole = must_meet({a, b, c}).level;
        ASSERT_EQ(must_meet({as_node(must_meet({a, b}).level), c}).level.features, whole.features) << a.name;
        ASSERT_EQ(must_meet({a, as_node(must_meet({b, c}).level)}).level.features, whole.features) << a.name;
    }
}

// What named levels take for granted beyond the psABI is true of every processor with long mode.
TEST_F(Corpus, EveryLongModeMachineHasTheBaseLevel) {
    const auto base = parse_level("x86-64", arch::Architecture::x86_64);
    ASSERT_TRUE(base);
    std::size_t count = 0;
    for (const auto& machine : machines()) {
        if (!machine.features.contains(id("lm"))) continue;
        ++count;
        const Answer answer = may_start(*base, machine);
        EXPECT_NE(answer.verdict, Verdict::no) << machine.name << ": " << answer.reasons.front();
    }
    EXPECT_GT(count, 20U);
}

}  // namespace
}  // namespace cpulevel::level::test
