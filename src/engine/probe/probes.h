// One function for each line of `check`. Each is safe to call alone, in any order, by any user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/capabilities.h"

namespace cpulevel::engine::probe {

// A file below `root`, trimmed; nothing if it is not there or may not be read.
[[nodiscard]] std::optional<std::string> read_small_file(const std::string& root, const std::string& path);

// CPUID
[[nodiscard]] Capability cpuid_faulting(const std::string& root);
// The flag that the kernel shows in <root>/proc/cpuinfo; nothing if the file cannot be read.
[[nodiscard]] std::optional<bool> cpuid_fault_flag(const std::string& root);

// Supervision
[[nodiscard]] Capability ptrace(const std::string& root);
// What kernel.yama.ptrace_scope means; empty when Yama is not there.
[[nodiscard]] std::string explain_yama(const std::string& root);
[[nodiscard]] Capability seccomp();

// Auxiliary vector
[[nodiscard]] Capability set_mm_map();
[[nodiscard]] Capability set_mm_auxv();
[[nodiscard]] Capability get_auxv();
[[nodiscard]] Capability kernel_inheritance();

// Memory
[[nodiscard]] Capability executable_pages();
[[nodiscard]] Capability anonymous_names();

// Other ABIs
[[nodiscard]] Capability i386_programs();
[[nodiscard]] Capability x32_programs();

// BPF
[[nodiscard]] Capability bpf(const std::string& root);
[[nodiscard]] Capability lockdown(const std::string& root);

struct Lockdown {
    enum class Known : std::uint8_t { no, not_built_in, mode } known = Known::no;
    std::string mode;  // "none", "integrity", "confidentiality"
    [[nodiscard]] bool on() const { return known == Known::mode && mode != "none"; }
};
[[nodiscard]] Lockdown lockdown_state(const std::string& root);

// Surroundings
[[nodiscard]] Capability container(const std::string& root);
[[nodiscard]] Capability criu(bool run_check);

struct ContainerFacts {
    std::string kind;                   // "docker", "podman", "lxc", "kubernetes", ...; empty: none seen
    std::string evidence;               // "/.dockerenv is there"
    bool user_namespace = false;        // uids are mapped
    bool pid_namespace = false;         // not the machine's first one, as far as can be seen
};
[[nodiscard]] ContainerFacts detect_container(const std::string& root);

}  // namespace cpulevel::engine::probe
