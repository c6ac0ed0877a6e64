// "CPUID LEAF: EAX-EBX-ECX-EDX [SL nn]": the dump format of InstLatx64, AIDA64 and libcpuid.
#pragma once

#include "profile/import/format.h"

namespace cpulevel::profile::import {

[[nodiscard]] bool has_register_dump(std::string_view text);
[[nodiscard]] Result<NodeProfile> read_register_dump(std::string_view text, const std::string& name,
                                                     std::string origin);

}  // namespace cpulevel::profile::import
