// Which glibc programs of this machine use: asked of the loader's file, since our own executable has another in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cpulevel::profile {

// "2.36"; nothing where there is no glibc, or its loader does not tell.
[[nodiscard]] std::optional<std::string> glibc_version_here();
// From the bytes of the loader, which has "ld.so (...) stable release version 2.36." in it.
[[nodiscard]] std::optional<std::string> glibc_version_in(std::string_view loader);

}  // namespace cpulevel::profile
