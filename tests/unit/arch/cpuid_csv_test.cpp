// Our places against the table of CPUID bit fields that Linux carries (corpus: linux/cpuid.csv, CC0): a bit of its
// name stands where we say, and every field of its has a rule with us.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "util/text.h"

namespace cpulevel::arch {
namespace {

struct Row {
    std::uint32_t leaf = 0;
    std::uint32_t first_subleaf = 0;
    std::uint32_t last_subleaf = 0;
    Register reg = Register::eax;
    std::uint8_t low = 0;
    std::uint8_t high = 0;
    std::string name;
};

// "31:0" or "5".
std::pair<std::uint32_t, std::uint32_t> range(std::string_view text) {
    const auto parts = split(trim(text), ':');
    const auto high = parse_decimal(parts.front()).value();
    const auto low = parse_decimal(parts.back()).value();
    return {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high)};
}

std::vector<Row> rows() {
    std::vector<Row> result;
    const char* corpus = std::getenv("CPULEVEL_CORPUS");
    if (corpus == nullptr) return result;
    static const std::map<std::string_view, Register> kRegisters = {
        {"eax", Register::eax}, {"ebx", Register::ebx}, {"ecx", Register::ecx}, {"edx", Register::edx}};
    std::ifstream file(std::string(corpus) + "/linux/cpuid.csv");
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line.front() == '#') continue;
        const auto cells = split(line, ',');
        if (cells.size() < 6) continue;
        Row row;
        row.leaf = static_cast<std::uint32_t>(parse_hex(trim(cells[0])).value());
        std::tie(row.first_subleaf, row.last_subleaf) = range(cells[1]);
        row.reg = kRegisters.at(trim(cells[2]));
        const auto [low, high] = range(cells[3]);
        row.low = static_cast<std::uint8_t>(low);
        row.high = static_cast<std::uint8_t>(high);
        row.name = std::string(trim(cells[4]));
        result.push_back(row);
    }
    return result;
}

const FeatureTable& features() { return table(Architecture::x86_64); }

bool has_place(const Feature& feature, const Row& row, unsigned bit) {
    for (const CpuidPlace& place : feature.cpuid) {
        if (place.leaf == row.leaf && place.subleaf == row.first_subleaf && place.reg == row.reg && place.bit == bit) {
            return true;
        }
    }
    return false;
}

bool has_rule(const Row& row, std::uint32_t subleaf, unsigned bit) {
    for (const CpuidField& field : features().fields()) {
        if (field.leaf == row.leaf && subleaf >= field.first_subleaf && subleaf <= field.last_subleaf &&
            field.reg == row.reg && bit >= field.low && bit <= field.high) {
            return true;
        }
    }
    for (const Feature& feature : features().features()) {
        for (const CpuidPlace& place : feature.cpuid) {
            if (place.leaf == row.leaf && place.subleaf == subleaf && place.reg == row.reg && place.bit == bit) {
                return true;
            }
        }
    }
    return false;
}

class LinuxTable : public testing::Test {
   protected:
    void SetUp() override {
        rows_ = rows();
        if (rows_.empty()) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS is unset or has no linux/cpuid.csv";
        ASSERT_GT(rows_.size(), 800U);
    }
    std::vector<Row> rows_;
};

TEST_F(LinuxTable, BitsOfOneNameAreAtOnePlace) {
    // Names that the table uses twice, or that mean something else with us: the name with us, by the table's leaf.
    const std::map<std::pair<std::uint32_t, std::string>, std::string> kOther = {
        {{0x80000007, "constant_tsc"}, "invtsc"},
        {{0x80000008, "mba"}, "amd_mba"},
        {{0x80000020, "mba"}, "amd_mba_enforcement"},
        {{0x80000021, "fsrs"}, "amd_fsrs"},
        {{0x80000021, "fsrc"}, "amd_fsrc"},
        {{0x23, "eq"}, "perfmon_eq"},
    };
    std::set<std::uint16_t> compared;
    for (const Row& row : rows_) {
        if (row.low != row.high) continue;
        std::string name = row.name;
        if (row.leaf == 0x80000001 && name.starts_with("e_")) name = name.substr(2);
        if (const auto other = kOther.find({row.leaf, name}); other != kOther.end()) name = other->second;
        const auto id = features().find(name);
        if (!id) continue;  // a field with us; EveryFieldHasARule looks at it
        compared.insert(id->value);
        EXPECT_TRUE(has_place(features()[*id], row, row.low))
            << row.name << " of leaf " << std::hex << row.leaf << " is not at a place of " << features()[*id].name;
    }
    // What the table lacks came from newer manuals; it must stay the smaller part.
    EXPECT_GT(compared.size() * 10, features().features().size() * 9);
}

TEST_F(LinuxTable, EveryFieldHasARule) {
    for (const Row& row : rows_) {
        if ((row.leaf & 0xFFFF0000U) == 0x80860000U) continue;  // Transmeta: no 64-bit processor has it
        for (std::uint32_t subleaf = row.first_subleaf; subleaf <= row.last_subleaf; ++subleaf) {
            for (unsigned bit = row.low; bit <= row.high; ++bit) {
                EXPECT_TRUE(has_rule(row, subleaf, bit)) << row.name << " of leaf " << std::hex << row.leaf << std::dec
                                                         << '.' << subleaf << ", bit " << bit;
            }
        }
    }
}

}  // namespace
}  // namespace cpulevel::arch
