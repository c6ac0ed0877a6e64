// Words in the "flags" line of an x86 /proc/cpuinfo that are no CPUID feature of use to a program, each with the
// reason why an importer may pass over it in silence.
#pragma once

#include <array>
#include <string_view>

namespace cpulevel::profile::import {

// Linux arch/x86/include/asm/cpufeatures.h, the words that Linux itself defines (3, 7, 8, 11, 21).
inline constexpr std::array<std::string_view, 104> kLinuxOnlyFlags{
    // How the kernel found the CPU to behave; no instruction comes with them.
    "constant_tsc", "nonstop_tsc", "nonstop_tsc_s3", "tsc_reliable", "tsc_known_freq", "rep_good", "nopl",
    "xtopology", "cpuid", "extd_apicid", "amd_dcm", "aperfmperf", "arch_perfmon", "pebs", "bts", "art", "up",
    "acc_power", "always", "lfence_rdtsc", "mfence_rdtsc", "k6_mtrr", "cyrix_arr", "centaur_mcr", "k8", "k7", "p3",
    "p4", "syscall32", "sysenter32", "rapl", "cpuid_fault",
    // Kernel choices: how it saves state, isolates page tables, patches itself.
    "eagerfpu", "pti", "kaiser", "retpoline", "retpoline_amd", "rsb_ctxsw", "spec_ctrl", "msr_spec_ctrl", "use_ibpb",
    "use_ibrs_fw", "invpcid_single", "mba", "hw_pstate", "proc_feedback", "cdp_l2", "cdp_l3", "cat_l2", "cat_l3",
    "sme", "sev", "sev_es", "sev_snp", "debug_swap",
    // Answers about mitigations: MSRs of the kernel, no instructions.
    "ibrs", "ibpb", "ibp_disable", "stibp", "ssbd", "ibrs_enhanced", "amd_ssbd", "amd_ibrs", "amd_stibp", "virt_ssbd",
    "vmw_vmmcall", "xenpv", "user_shstk", "brs", "amd_lbr_v2",
    "amd_lbr_pmc_freeze", "split_lock_detect", "bus_lock_detect", "per_thread_mba", "smba", "bmec", "abmc", "cqm",
    "cqm_llc", "cqm_occup_llc", "cqm_mbm_total", "cqm_mbm_local",
    // Virtualisation: of use to a hypervisor.
    "tpr_shadow", "vnmi", "flexpriority", "ept", "vpid", "ept_ad", "npt", "lbrv", "svm_lock", "nrip_save",
    "tsc_scale", "vmcb_clean", "flushbyasid", "decodeassists", "pausefilter", "pfthreshold", "avic",
    "v_vmsave_vmload", "vgif", "x2avic", "v_spec_ctrl", "vmmcall",
};

}  // namespace cpulevel::profile::import
