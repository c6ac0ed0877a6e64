// Real arm64 machines (corpus: archspec's /proc/cpuinfo extracts): names, dependencies and levels hold for them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "util/text.h"

namespace cpulevel::arch {
namespace {

struct Machine {
    std::string name;
    std::string features;  // the Features line
};

std::vector<Machine> machines() {
    std::vector<Machine> result;
    const char* corpus = std::getenv("CPULEVEL_CORPUS");
    if (corpus == nullptr) return result;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(corpus) / "archspec", none)) {
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) {
            if (!line.starts_with("Features")) continue;
            result.push_back({entry.path().filename(), line.substr(line.find(':') + 1)});
            break;
        }
    }
    return result;
}

TEST(ArmCorpus, MachinesAreKnownClosedAndAtALevel) {
    const auto found = machines();
    if (found.empty()) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS is unset or has no arm64 machine of archspec";
    const FeatureTable& arm = table(Architecture::aarch64);
    std::size_t beyond_base = 0;
    for (const Machine& machine : found) {
        FeatureSet set;
        for (const std::string_view flag : split(trim(machine.features), ' ')) {
            const auto id = arm.find(flag);
            EXPECT_TRUE(id) << flag << " of " << machine.name;
            if (id) set.insert(*id);
        }
        (set - arm.closed_subset(set)).for_each([&](FeatureId id) {
            ADD_FAILURE() << machine.name << ": " << arm[id].name << " without what it needs";
        });
        const auto fits = [&](const NamedLevel& level) {
            return std::ranges::all_of(level.features, [&](FeatureId id) { return set.contains(id); });
        };
        EXPECT_TRUE(fits(*arm.find_level("armv8.0-a"))) << machine.name;
        if (fits(*arm.find_level("armv8.2-a"))) ++beyond_base;
    }
    EXPECT_GT(beyond_base, 0U);
}

}  // namespace
}  // namespace cpulevel::arch
