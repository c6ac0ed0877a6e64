#include "engine/capabilities.h"

#include <sys/utsname.h>

#include <algorithm>

#include "engine/probe/probes.h"

namespace cpulevel::engine {

std::string_view name(Works works) {
    switch (works) {
        case Works::yes: return "yes";
        case Works::partial: return "partial";
        case Works::no: return "no";
    }
    return "no";
}

std::string_view name(Need need) {
    switch (need) {
        case Need::nothing: return "nothing";
        case Need::coverage: return "coverage";
        case Need::start: return "start";
    }
    return "nothing";
}

const Capability* CheckReport::find(std::string_view id) const {
    const auto at = std::ranges::find(capabilities, id, &Capability::id);
    return at == capabilities.end() ? nullptr : &*at;
}

bool CheckReport::run_starts() const {
    return std::ranges::none_of(
        capabilities, [](const Capability& c) { return c.need == Need::start && c.works != Works::yes; });
}

bool CheckReport::run_covers_everything() const {
    return std::ranges::none_of(
        capabilities, [](const Capability& c) { return c.need != Need::nothing && c.works != Works::yes; });
}

CheckReport check_machine(const CheckOptions& options) {
    CheckReport report;
    utsname machine{};
    if (::uname(&machine) == 0) {
        report.kernel = static_cast<const char*>(machine.release);
        report.machine = static_cast<const char*>(machine.machine);
    }
    report.capabilities = {
        probe::ptrace(options.root),
        probe::cpuid_faulting(options.root),
        probe::set_mm_map(),
        probe::set_mm_auxv(),
        probe::get_auxv(),
        probe::kernel_inheritance(),
        probe::executable_pages(),
        probe::anonymous_names(),
        probe::seccomp(),
        probe::bpf(options.root),
        probe::lockdown(options.root),
        probe::i386_programs(),
        probe::x32_programs(),
        probe::criu(options.run_criu),
        probe::container(options.root),
    };
    return report;
}

}  // namespace cpulevel::engine
