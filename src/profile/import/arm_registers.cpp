#include "profile/import/arm_registers.h"

#include <array>
#include <string_view>

namespace cpulevel::profile::import {
namespace {

struct Field {
    std::string_view reg;
    unsigned low;              // bits low+3..low
    std::uint64_t least;       // the smallest value that means the feature
    std::string_view feature;
};

// Linux Documentation/arch/arm64/elf_hwcaps.rst ("Functionality implied by ID_AA64...").
constexpr std::array kFields{
    Field{"id_aa64isar0", 4, 1, "aes"},       Field{"id_aa64isar0", 4, 2, "pmull"},
    Field{"id_aa64isar0", 8, 1, "sha1"},      Field{"id_aa64isar0", 12, 1, "sha2"},
    Field{"id_aa64isar0", 12, 2, "sha512"},   Field{"id_aa64isar0", 16, 1, "crc32"},
    Field{"id_aa64isar0", 20, 2, "atomics"},  Field{"id_aa64isar0", 28, 1, "asimdrdm"},
    Field{"id_aa64isar0", 32, 1, "sha3"},     Field{"id_aa64isar0", 36, 1, "sm3"},
    Field{"id_aa64isar0", 40, 1, "sm4"},      Field{"id_aa64isar0", 44, 1, "asimddp"},
    Field{"id_aa64isar0", 48, 1, "asimdfhm"}, Field{"id_aa64isar0", 52, 1, "flagm"},
    Field{"id_aa64isar0", 52, 2, "flagm2"},   Field{"id_aa64isar0", 60, 1, "rng"},
    Field{"id_aa64isar1", 0, 1, "dcpop"},     Field{"id_aa64isar1", 0, 2, "dcpodp"},
    Field{"id_aa64isar1", 12, 1, "jscvt"},    Field{"id_aa64isar1", 16, 1, "fcma"},
    Field{"id_aa64isar1", 20, 1, "lrcpc"},    Field{"id_aa64isar1", 20, 2, "ilrcpc"},
    Field{"id_aa64isar1", 32, 1, "frint"},    Field{"id_aa64isar1", 36, 1, "sb"},
    Field{"id_aa64isar1", 44, 1, "bf16"},     Field{"id_aa64isar1", 44, 2, "ebf16"},
    Field{"id_aa64isar1", 48, 1, "dgh"},      Field{"id_aa64isar1", 52, 1, "i8mm"},
    Field{"id_aa64isar1", 4, 1, "paca"},      Field{"id_aa64isar1", 8, 1, "paca"},
    Field{"id_aa64isar1", 24, 1, "pacg"},     Field{"id_aa64isar1", 28, 1, "pacg"},
    Field{"id_aa64isar2", 0, 2, "wfxt"},      Field{"id_aa64isar2", 4, 1, "rpres"},
    Field{"id_aa64isar2", 12, 1, "paca"},     Field{"id_aa64isar2", 8, 1, "pacg"},
    Field{"id_aa64isar2", 16, 1, "mops"},     Field{"id_aa64isar2", 20, 1, "hbc"},
    Field{"id_aa64isar2", 52, 1, "cssc"},     Field{"id_aa64pfr0", 32, 1, "sve"},
    Field{"id_aa64pfr0", 48, 1, "dit"},       Field{"id_aa64pfr1", 0, 1, "bti"},
    Field{"id_aa64pfr1", 4, 2, "ssbs"},       Field{"id_aa64pfr1", 8, 2, "mte"},
    Field{"id_aa64pfr1", 8, 3, "mte3"},       Field{"id_aa64pfr1", 24, 1, "sme"},
    Field{"id_aa64mmfr0", 60, 1, "ecv"},      Field{"id_aa64mmfr1", 44, 1, "afp"},
    Field{"id_aa64mmfr2", 32, 1, "uscat"},    Field{"id_aa64zfr0", 0, 1, "sve2"},
    Field{"id_aa64zfr0", 4, 1, "sveaes"},     Field{"id_aa64zfr0", 4, 2, "svepmull"},
    Field{"id_aa64zfr0", 16, 1, "svebitperm"}, Field{"id_aa64zfr0", 20, 1, "svebf16"},
    Field{"id_aa64zfr0", 32, 1, "svesha3"},   Field{"id_aa64zfr0", 40, 1, "svesm4"},
    Field{"id_aa64zfr0", 44, 1, "svei8mm"},   Field{"id_aa64zfr0", 52, 1, "svef32mm"},
    Field{"id_aa64zfr0", 56, 1, "svef64mm"},
};

// Signed fields: 0xf is "not there", 0 the basic form, 1 with half precision.
struct SignedField {
    unsigned low;
    std::string_view basic, half;
};
constexpr std::array kSigned{SignedField{16, "fp", "fphp"}, SignedField{20, "asimd", "asimdhp"}};

}  // namespace

ArmFeatures features_of(const ArmRegisters& registers) {
    const auto& table = arch::table(arch::Architecture::aarch64);
    ArmFeatures result;
    const auto tell = [&](std::string_view feature, bool there) {
        const auto id = table.find(feature);
        if (!id) return;
        result.known.insert(*id);
        if (there) result.features.insert(*id);
    };
    for (const Field& field : kFields) {
        const auto at = registers.find(field.reg);
        if (at != registers.end()) tell(field.feature, (at->second >> field.low & 0xfU) >= field.least);
    }
    if (const auto at = registers.find("id_aa64pfr0"); at != registers.end()) {
        for (const SignedField& field : kSigned) {
            const auto value = at->second >> field.low & 0xfU;
            tell(field.basic, value != 0xf);
            tell(field.half, value != 0xf && value >= 1);
        }
    }
    return result;
}

}  // namespace cpulevel::profile::import
