#include "profile/glibc_version.h"

#include "util/file.h"

namespace cpulevel::profile {

namespace {

#if defined(__aarch64__)
constexpr const char* kLoader = "/lib/ld-linux-aarch64.so.1";
#else
constexpr const char* kLoader = "/lib64/ld-linux-x86-64.so.2";
#endif
constexpr std::size_t kLargestLoader = 16U << 20U;

}  // namespace

std::optional<std::string> glibc_version_in(std::string_view loader) {
    constexpr std::string_view before = "release version ";
    const auto at = loader.find(before);
    if (at == std::string_view::npos) return std::nullopt;
    std::string_view version = loader.substr(at + before.size());
    version = version.substr(0, version.find_first_not_of("0123456789."));
    while (version.ends_with('.')) version.remove_suffix(1);
    if (version.empty()) return std::nullopt;
    return std::string(version);
}

std::optional<std::string> glibc_version_here() {
    const auto loader = read_file(kLoader, kLargestLoader);
    if (!loader) return std::nullopt;
    return glibc_version_in(*loader);
}

}  // namespace cpulevel::profile
