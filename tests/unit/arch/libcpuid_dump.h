// A reader of libcpuid's test files, for tests only: registers, then "--------", then what libcpuid decoded them to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "arch/cpuid_dump.h"

namespace cpulevel::arch::test {

struct LibcpuidDump {
    std::string name;                 // path below the corpus folder
    CpuidDump registers;              // of the first CPU of the file
    std::string level;                // "x86-64-v3", or what else stands there
    std::vector<std::string> flags;   // libcpuid's names
};

// Nothing for a file of another architecture.
[[nodiscard]] std::optional<LibcpuidDump> read_libcpuid_dump(const std::string& path, const std::string& name);

// All x86 dumps of CPULEVEL_CORPUS/libcpuid, sorted by name; empty without the corpus.
[[nodiscard]] std::vector<LibcpuidDump> libcpuid_corpus();

}  // namespace cpulevel::arch::test
