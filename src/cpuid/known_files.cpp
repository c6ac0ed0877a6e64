#include "cpuid/known_files.h"

#include <algorithm>
#include <array>

namespace cpulevel::cpuid {

namespace {

// `mov $number, %eax` with SYSCALL close behind it, in straight code as compilers write it.
bool makes_call(std::span<const std::byte> code, std::uint32_t number) {
    constexpr std::size_t kLoad = 5;
    constexpr std::size_t kClose = 12;
    const std::array load{std::byte{0xb8}, static_cast<std::byte>(number & 0xffU),
                          static_cast<std::byte>(number >> 8U & 0xffU), std::byte{0}, std::byte{0}};
    constexpr std::array kSyscall{std::byte{0x0f}, std::byte{0x05}};
    while (!code.empty()) {
        const auto found = std::ranges::search(code, load);
        if (found.empty()) return false;
        code = code.subspan(static_cast<std::size_t>(found.begin() - code.begin()) + kLoad);
        if (!std::ranges::search(code.first(std::min(code.size(), kClose)), kSyscall).empty()) return true;
    }
    return false;
}

}  // namespace

std::uint32_t file_call(std::span<const std::byte> code) {
    // A loader that has fstat asks by it; newfstatat is in nearly each, for stat().
    if (makes_call(code, KnownFiles::kFstat)) return KnownFiles::kFstat;
    return makes_call(code, KnownFiles::kNewfstatat) ? KnownFiles::kNewfstatat : KnownFiles::kNoCall;
}

}  // namespace cpulevel::cpuid
