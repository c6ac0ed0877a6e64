#include "cpuid/lookup_ranges.h"

#include <algorithm>

namespace cpulevel::cpuid {

namespace {

constexpr std::uint64_t kLength = 2;    // of CPUID
constexpr std::uint64_t kApart = 2048;  // bytes; the widest gap in glibc 2.36's init_cpu_features has 1,400
constexpr std::uint64_t kAround = 512;  // bytes of preparation and evaluation

}  // namespace

std::vector<LookupRange> lookup_ranges(std::span<const std::uint64_t> sites) {
    std::vector<LookupRange> ranges;
    for (const std::uint64_t site : sites) {
        if (!ranges.empty() && site <= ranges.back().end + kApart) {
            ranges.back().end = site + kLength;
        } else {
            ranges.push_back({site, site + kLength});
        }
    }
    return ranges;
}

bool is_looking_up(std::uint64_t instruction, std::span<const std::uint64_t> stack,
                   std::span<const LookupRange> ranges) {
    return std::ranges::any_of(ranges, [&](const LookupRange& range) {
        const std::uint64_t before = range.first - std::min(range.first, kAround);
        if (instruction >= before && instruction <= range.end + kAround) return true;
        return std::ranges::any_of(stack, [&](std::uint64_t word) { return word > range.first && word < range.end; });
    });
}

}  // namespace cpulevel::cpuid
