#include "cpuid/installer.h"

#include <utility>

namespace cpulevel::cpuid {

Installed install(ModulePlan&& plan, Installer& installer) {
    Installed done;
    for (ModulePlan::Stubs& stubs : plan.stubs) {
        const bool there = stubs.map == 0 || installer.map(stubs.at, stubs.map);
        if (!there || !installer.write_stubs(stubs.at, std::move(stubs.bytes))) {
            done.lost = stubs.at;
            return done;
        }
    }
    done.traps = std::move(plan.map_stops);
    for (ModulePlan::Edit& edit : plan.edits) {
        if (!installer.write_text(edit.address, edit.bytes)) {
            ++done.unwritten;
            continue;
        }
        done.jumps.insert(done.jumps.end(), edit.jumps.begin(), edit.jumps.end());
        done.traps.insert(done.traps.end(), edit.traps.begin(), edit.traps.end());
        done.in_memory += edit.cpuid_jumps;
        done.planted += edit.cpuid_traps;
    }
    return done;
}

bool uninstall(std::span<const ReplacedSite> jumps, std::span<const PlantedTrap> traps, Installer& installer) {
    constexpr std::byte kFirst{0x0f};  // of CPUID, and of SYSCALL
    bool all = true;
    for (const ReplacedSite& site : jumps) all = installer.write_text(site.address, site.original) && all;
    for (const PlantedTrap& trap : traps) {
        if (trap.kind != PlantedTrap::Kind::map_stop)
            all = installer.write_text(trap.address, std::span(&kFirst, 1)) && all;
    }
    return all;
}

}  // namespace cpulevel::cpuid
