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

Policy make_policy(const level::Level& level, const arch::CpuidDump& host, CpuidMethod method,
                   bool set_saved_vector) {
    Policy policy;
    policy.level_name = level.name;
    policy.imposed.masks[inherit::AbiFamily::x86] = level.hwcap;
    policy.imposed.minimum_signal_stack = level.minimum_signal_stack;
    const arch::FeatureTable& table = arch::table(level.architecture);
    arch::FeatureSet security;
    for (std::uint16_t i = 0; i < table.features().size(); ++i) {
        if (table.features()[i].security) security.insert({i});
    }
    for (std::uint8_t word = 0; word < policy.security_bits.size(); ++word) {
        policy.security_bits[word] = table.to_hwcap(security, word);
    }
    policy.platform = level.platform;
    policy.cpuid = cpuid::VirtualCpuid::build(level, host);
    policy.method = method;
    policy.set_saved_vector = set_saved_vector;
    return policy;
}

}  // namespace cpulevel::engine::ptrace
