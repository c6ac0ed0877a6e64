#include "engine/ptrace/vector_length.h"

#include <sys/prctl.h>

#include <cerrno>

#include "arch/feature.h"

namespace cpulevel::engine::ptrace {

namespace {

// <linux/prctl.h>; by number, because the headers of other architectures and older kernels lack some.
constexpr int kSveSetLength = 50, kSmeSetLength = 63;
constexpr unsigned long kLengthMask = 0xffff, kInherit = 1UL << 17U;

std::optional<std::uint32_t> length_of(const level::Level& level, std::string_view feature, const char* value) {
    const auto id = arch::table(level.architecture).find(feature);
    const auto at = level.registers.find(value);
    if (!id || !level.features.contains(*id) || at == level.registers.end()) return std::nullopt;
    return static_cast<std::uint32_t>(at->second & kLengthMask);
}

int set_length(int option, std::optional<std::uint32_t> bytes) {
    if (!bytes) return 0;
    const int got = ::prctl(option, *bytes | kInherit, 0UL, 0UL, 0UL);
    if (got < 0) return errno;
    return (static_cast<unsigned>(got) & kLengthMask) == *bytes ? 0 : ERANGE;
}

}  // namespace

VectorLengths vector_lengths(const level::Level& level) {
    if (level.architecture != arch::Architecture::aarch64) return {};
    return {length_of(level, "sve", "sve_vector_length"), length_of(level, "sme", "sme_vector_length")};
}

int set_vector_lengths(const VectorLengths& lengths) {
    const int error = set_length(kSveSetLength, lengths.sve);
    return error != 0 ? error : set_length(kSmeSetLength, lengths.sme);
}

}  // namespace cpulevel::engine::ptrace
