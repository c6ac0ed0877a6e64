#include "engine/ptrace/policy.h"

namespace cpulevel::engine::ptrace {

std::string_view name(CpuidMethod method) {
    switch (method) {
        case CpuidMethod::faulting: return "CPUID faulting";
        case CpuidMethod::planted: return "planted traps";
        case CpuidMethod::none: return "none";
    }
    return "none";
}

inherit::HwcapWords security_bits(arch::Architecture architecture) {
    const arch::FeatureTable& table = arch::table(architecture);
    arch::FeatureSet security;
    for (std::uint16_t i = 0; i < table.features().size(); ++i) {
        if (table.features()[i].security) security.insert({i});
    }
    inherit::HwcapWords bits;
    for (std::uint8_t word = 0; word < bits.size(); ++word) bits[word] = table.to_hwcap(security, word);
    return bits;
}

void impose(Policy& policy, const level::Level& level, const arch::CpuidDump& host, CpuidMethod method) {
    policy.level_name = level.name;
    policy.imposed.masks[inherit::AbiFamily::x86] = level.hwcap;
    policy.imposed.minimum_signal_stack = level.minimum_signal_stack;
    policy.security_bits = security_bits(level.architecture);
    policy.platform = level.platform;
    policy.cpuid = cpuid::VirtualCpuid::build(level, host);
    policy.method = method;
}

}  // namespace cpulevel::engine::ptrace
