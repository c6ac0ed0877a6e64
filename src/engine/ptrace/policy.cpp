#include "engine/ptrace/policy.h"

#include "cpuid/flat_table.h"

namespace cpulevel::engine::ptrace {

std::string_view name(CpuidMethod method) {
    switch (method) {
        case CpuidMethod::faulting: return "CPUID faulting";
        case CpuidMethod::planted: return "planted traps";
        case CpuidMethod::none: return "none";
    }
    return "none";
}

std::map<inherit::AbiFamily, inherit::HwcapWords> security_bits(arch::Architecture architecture) {
    const arch::FeatureTable& table = arch::table(architecture);
    arch::FeatureSet security;
    for (std::uint16_t i = 0; i < table.features().size(); ++i) {
        if (table.features()[i].security) security.insert({i});
    }
    inherit::HwcapWords bits;
    for (std::uint8_t word = 0; word < bits.size(); ++word) bits[word] = table.to_hwcap(security, word);
    return {{inherit::abi_family(architecture, inherit::WordSize::bits64), bits}};
}

void impose(Policy& policy, const level::Level& level, const arch::CpuidDump& host, CpuidMethod method,
            bool may_patch) {
    policy.level_name = level.name;
    policy.imposed = inherit::imposed_by(level.architecture, level.hwcap, level.minimum_signal_stack);
    policy.security_bits = security_bits(level.architecture);
    policy.platform = level.platform;
    policy.vector_lengths = vector_lengths(level);
    if (level.architecture == arch::Architecture::x86_64) policy.cpuid = cpuid::VirtualCpuid::build(level, host);
    policy.method = method;
    if (may_patch && method != CpuidMethod::none) policy.table = cpuid::flatten(policy.cpuid);
}

}  // namespace cpulevel::engine::ptrace
