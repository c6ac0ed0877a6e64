// NodeProfile: everything that programs on one machine can find out about its CPU and that changes what they do.
// Made by the probe on this machine, by an importer from a foreign description, or read from our JSON
// ("cpulevel/profile/1", data/schema/profile.schema.json).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/cpuid_dump.h"
#include "arch/feature.h"

namespace cpulevel::profile {

struct Identity {
    std::string vendor;  // "GenuineIntel", "AuthenticAMD"; arm64: the implementer's name or MIDR code
    std::string brand;   // the brand string of leaves 0x80000002-4, or a part name
    std::uint32_t family = 0, model = 0, stepping = 0;  // display family and model (extended parts added in)
    friend bool operator==(const Identity&, const Identity&) = default;
};

// One XSAVE state component (CPUID leaf 0xD, subleaf >= 2; Intel SDM vol. 1 section 13.2).
struct XsaveComponent {
    std::uint32_t size = 0;    // bytes (EAX)
    std::uint32_t offset = 0;  // bytes, standard format (EBX); 0 for supervisor components
    bool supervisor = false;   // ECX bit 0
    bool aligned = false;      // ECX bit 1: 64-byte aligned in the compacted format
    friend bool operator==(const XsaveComponent&, const XsaveComponent&) = default;
};

struct XsaveLayout {
    std::uint64_t xcr0 = 0;             // what the system enabled (XGETBV), or, imported, subleaf 0 EDX:EAX
    bool xcr0_enabled = false;          // true: xcr0 is what is enabled; false: what the CPU supports
    std::uint32_t standard_size = 0;    // bytes for the enabled components (subleaf 0 EBX)
    std::uint32_t maximum_size = 0;     // bytes for all supported ones (subleaf 0 ECX)
    std::uint32_t compacted_size = 0;   // subleaf 1 EBX; 0 where XSAVEC is not there
    std::map<unsigned, XsaveComponent> components;  // by component number, from 2
    friend bool operator==(const XsaveLayout&, const XsaveLayout&) = default;
};

struct CpuGroup {
    std::string cpus;        // Linux list syntax: "0-7,16"
    arch::CpuidDump cpuid;   // LIVE fields as the first CPU of the group gave them
};

struct NodeProfile {
    std::string name;    // how messages call the node; default the host name or the file's name
    arch::Architecture architecture = arch::Architecture::x86_64;
    std::string origin;  // "scan", "cpuid -r", "/proc/cpuinfo", "InstLatx64", "libcpuid", ...
    std::string kernel;      // release, empty if unknown
    std::string hypervisor;  // signature or "yes"; empty: none seen
    Identity identity;

    std::array<std::optional<std::uint64_t>, 4> hwcap;  // AT_HWCAP to AT_HWCAP4; absent: not given by this source
    std::optional<std::uint64_t> minimum_signal_stack;  // AT_MINSIGSTKSZ, bytes
    std::optional<std::uint64_t> page_size;
    std::optional<std::string> platform;                // AT_PLATFORM
    // arm64 and others: values with rules EQUAL or MIN: "CTR_EL0", "DCZID_EL0", "sve_vector_length" (bytes)...
    std::map<std::string, std::uint64_t> registers;

    std::vector<CpuGroup> cpus;  // x86: groups of CPUs with the same CPUID (LIVE fields apart); empty if unknown
    std::optional<XsaveLayout> xsave;        // absent: the source does not tell
    std::optional<bool> cpuid_faulting;      // works, found by doing; absent: not tried

    arch::FeatureSet features;  // usable: the meet over the CPUs and what the kernel enabled
    arch::FeatureSet known;     // the features of which the source can say yes or no; features is a subset
    std::vector<std::string> notes;  // differences between CPUs, what the source cannot tell
};

}  // namespace cpulevel::profile
