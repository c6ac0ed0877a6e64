// Machines that we do not have: dumps from tests/fixtures, changed at will, and a /proc and /sys to go with them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "inherit/aux_vector.h"
#include "profile/import.h"
#include "profile/probe.h"
#include "util/file.h"
#include "../temporary_folder.h"
#include "../source_folder.h"

namespace cpulevel::profile::test {

inline std::string fixture(const std::string& name) {
    auto text = read_file(::cpulevel::test::source_folder() + "/tests/fixtures/profile/" + name);
    if (!text) {
        ADD_FAILURE() << text.error().message();
        return {};
    }
    return *std::move(text);
}

inline NodeProfile imported(const std::string& name) {
    auto profiles = import_text(fixture(name), name);
    if (!profiles) {
        ADD_FAILURE() << profiles.error().message();
        return {};
    }
    return profiles->front();
}

// The dump of a real CPU with AVX-512, PKRU-less, in a virtual machine (tests/fixtures/profile/cpuid_r_one_cpu.txt).
inline arch::CpuidDump real_dump() { return imported("cpuid_r_one_cpu.txt").cpus.front().cpuid; }

inline arch::FeatureId id(std::string_view name, arch::Architecture architecture = arch::Architecture::x86_64) {
    const auto found = arch::table(architecture).find(name);
    EXPECT_TRUE(found) << name;
    return found.value_or(arch::FeatureId{});
}

using cpulevel::test::TemporaryFolder;

inline std::vector<std::byte> auxv(std::vector<inherit::AuxEntry> entries) {
    return inherit::AuxVector(inherit::WordSize::bits64, std::move(entries)).serialize();
}

// A machine with the given CPUs, all online.
struct FakeMachine {
    TemporaryFolder root;
    ProbeSources sources;

    explicit FakeMachine(std::vector<arch::CpuidDump> cpus, std::uint64_t xcr0 = 0xe7) {
        root.write("proc/sys/kernel/hostname", "fake\n");
        root.write("proc/sys/kernel/osrelease", "6.1.0-test\n");
        root.write("sys/devices/system/cpu/online", "0-" + std::to_string(cpus.size() - 1) + "\n");
        sources.root = root.path();
        sources.auxv = auxv({{16, 0x178bfbff}, {26, 2}, {51, 3632}, {6, 4096}});
        sources.platform = "x86_64";
        sources.cpuid = [cpus](unsigned cpu) -> Result<arch::CpuidDump> {
            if (cpu >= cpus.size()) return machine_error("asked a CPU that is not there");
            return cpus[cpu];
        };
        sources.xgetbv = [xcr0] { return xcr0; };
        sources.cpuid_faulting = [] { return std::optional(true); };
    }
};

}  // namespace cpulevel::profile::test
