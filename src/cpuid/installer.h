// Carrying a plan out. The plan (module_plan.h) knows no way into a process; an Installer is one: a tracer's, for a process
// that is stopped (engine/ptrace), or one that runs in the process itself before its code does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cpuid/module_plan.h"

namespace cpulevel::cpuid {

// Nothing of the process runs what is changed meanwhile.
class Installer {
   public:
    Installer() = default;
    Installer(const Installer&) = delete;
    Installer& operator=(const Installer&) = delete;
    virtual ~Installer() = default;

    // Pages for stubs, at this address and no other. True: they are there.
    [[nodiscard]] virtual bool map(std::uint64_t at, std::size_t size) = 0;
    // Into such pages, which the process can read and execute from then on. False: they are not there (any more).
    [[nodiscard]] virtual bool write_stubs(std::uint64_t at, std::vector<std::byte> bytes) = 0;
    // Over the process's own text, all or nothing.
    [[nodiscard]] virtual bool write_text(std::uint64_t at, std::span<const std::byte> bytes) = 0;
};

struct Installed {
    std::optional<std::uint64_t> lost;  // address of stubs that could not be written: then no text was changed
    std::vector<ReplacedSite> jumps;
    std::vector<PlantedTrap> traps;
    std::size_t in_memory = 0;  // CPUID instructions that answer from memory
    std::size_t planted = 0;    // traps over CPUID
    std::size_t unwritten = 0;  // edits that could not be made
};

[[nodiscard]] Installed install(ModulePlan&& plan, Installer& installer);

// Text is what it was; stubs stay where they are, and nobody comes there any more. False: not all could be written.
bool uninstall(std::span<const ReplacedSite> jumps, std::span<const PlantedTrap> traps, Installer& installer);

}  // namespace cpulevel::cpuid
