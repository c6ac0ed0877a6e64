// Raw CPUID dumps, whatever the tool. The hard part are tools that print no subleaf numbers: InstLatx64's older
// versions write the subleaves of a leaf one under the other, and leave out those that are zero. For most leaves the
// position is the number. Leaf 0xD has holes: its second line may be subleaf 1 or component 2, and the third any
// component. Guessing wrong would put a size where an offset belongs, so only what is certain is taken.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "arch/x86_64.h"
#include "profile/cpu_list.h"
#include "profile/import/format.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::CpuidRegisters;

// The AVX component has one place and one size on every CPU there is (SDM vol. 1 13.5.3).
bool is_avx_component(const CpuidRegisters& r) { return r.eax == 256 && r.ebx == 576 && r.ecx == 0; }

}  // namespace

bool Lines::next(std::string_view& line) {
    if (rest_.empty()) return false;
    const auto end = rest_.find('\n');
    unterminated_ = end == std::string_view::npos;
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number_;
    return true;
}

std::unexpected<Error> refuse(const std::string& name, std::size_t line, std::string why, std::string hint) {
    return usage_error("cannot import", fmt::format("{}, line {}", name, line), std::move(why), std::move(hint));
}

std::optional<std::uint32_t> take_hex8(std::string_view& text) {
    if (text.size() < 8) return std::nullopt;
    const auto digits = text.substr(0, 8);
    constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";
    if (digits.find_first_not_of(kHexDigits) != std::string_view::npos) return std::nullopt;
    text.remove_prefix(8);
    return static_cast<std::uint32_t>(parse_hex(digits).value_or(0));
}

Result<void> RawBuilder::begin_cpu(std::size_t line, std::optional<std::uint64_t> number) {
    if (auto closed = close_cpu(line); !closed) return closed;
    if (!number) return {};
    if (*number > kMaximumCpu) {
        return refuse(name_, line, fmt::format("CPU number {} is absurd, they end at {}", *number, kMaximumCpu));
    }
    cpu_ = static_cast<unsigned>(*number);
    return {};
}

Result<void> RawBuilder::add(std::size_t line, arch::CpuidKey key, const CpuidRegisters& registers) {
    const auto [at, added] = current_.try_emplace(key, registers);
    if (!added && at->second != registers) {
        return refuse(name_, line, fmt::format("leaf 0x{:x}, subleaf 0x{:x} is there twice, with different values",
                                               key.leaf, key.subleaf));
    }
    if (current_.size() > kMostPerCpu) return refuse(name_, line, "absurdly many CPUID leaves for one CPU");
    return {};
}

Result<void> RawBuilder::add_unnumbered(std::size_t line, std::uint32_t leaf, const CpuidRegisters& registers) {
    if (!arch::x86_leaf_has_subleaves(leaf)) return add(line, {leaf, 0}, registers);
    if (++unnumbered_count_ > kMostPerCpu) return refuse(name_, line, "absurdly many CPUID leaves for one CPU");
    unnumbered_[leaf].push_back(registers);
    return {};
}

bool RawBuilder::has(std::uint32_t leaf) const {
    return current_.contains({leaf, 0}) || unnumbered_.contains(leaf);
}

void RawBuilder::resolve() {
    for (auto& [leaf, lines] : unnumbered_) {
        if (leaf != 0xd) {
            for (std::uint32_t i = 0; i < lines.size(); ++i) current_.try_emplace({leaf, i}, lines[i]);
            continue;
        }
        current_.try_emplace({0xd, 0}, lines.front());
        std::span<const CpuidRegisters> rest(lines);
        rest = rest.subspan(1);
        std::uint64_t components = std::uint64_t{lines.front().edx} << 32U | lines.front().eax;
        if (!rest.empty() && !is_avx_component(rest.front())) {
            current_.try_emplace({0xd, 1}, rest.front());
            components |= std::uint64_t{rest.front().edx} << 32U | rest.front().ecx;
            rest = rest.subspan(1);
        }
        components &= ~std::uint64_t{3};
        if (rest.size() == static_cast<std::size_t>(std::popcount(components))) {
            for (const CpuidRegisters& registers : rest) {
                const auto number = static_cast<std::uint32_t>(std::countr_zero(components));
                current_.try_emplace({0xd, number}, registers);
                components &= components - 1;
            }
            continue;
        }
        if (!rest.empty() && is_avx_component(rest.front())) current_.try_emplace({0xd, 2}, rest.front());
        dropped_components_ = true;
    }
    unnumbered_.clear();
    unnumbered_count_ = 0;
}

Result<void> RawBuilder::close_cpu(std::size_t line) {
    resolve();
    if (current_.empty()) return {};
    if (seen_.empty()) seen_.resize(kMaximumCpu + 1, false);
    if (cpu_ > kMaximumCpu) return refuse(name_, line, "absurdly many CPUs");
    // Some tools number per package; what matters here is that the CPUs stay apart.
    while (cpu_ <= kMaximumCpu && seen_[cpu_]) ++cpu_;
    if (cpu_ > kMaximumCpu) return refuse(name_, line, "absurdly many CPUs");
    seen_[cpu_] = true;
    collector_.add(cpu_, current_);
    ++cpu_;
    current_.clear();
    if (collector_.entries() > kMostEntries) return refuse(name_, line, "absurdly many different CPUs");
    return {};
}

Result<NodeProfile> RawBuilder::finish(std::string origin) {
    if (auto closed = close_cpu(0); !closed) return std::unexpected(closed.error());
    NodeProfile profile;
    profile.name = printable(name_);
    profile.architecture = arch::Architecture::x86_64;
    profile.origin = std::move(origin);
    profile.cpus = collector_.groups();
    if (profile.cpus.empty()) return usage_error("cannot import", name_, "no CPUID values in it");
    if (auto completed = complete_x86(profile, std::nullopt); !completed) {
        Error error = completed.error();
        error.on = error.on == name_ ? name_ : name_ + ": " + error.on;
        return std::unexpected(std::move(error));
    }

    auto& notes = profile.notes;
    notes.emplace_back("made from CPUID alone: HWCAP2, AT_MINSIGSTKSZ, the kernel, and whether CPUID faulting works "
                       "are not known");
    if (!profile.xsave) {
        notes.emplace_back("the XSAVE layout is not known (no leaf 0xd)");
    } else if (profile.xsave->maximum_size != 0) {
        notes.emplace_back("XCR0 is not known: taken is everything that the CPU supports, with its sizes");
        std::string missing;
        for (unsigned number = 2; number <= kMaximumXsaveComponent; ++number) {
            if ((profile.xsave->xcr0 >> number & 1U) == 0 || profile.xsave->components.contains(number)) continue;
            missing += fmt::format("{}{}", missing.empty() ? "" : ", ", number);
        }
        if (!missing.empty()) {
            notes.push_back(fmt::format("size and offset of XSAVE components {} are not known{}", missing,
                                        dropped_components_ ? " (the source does not number the subleaves)" : ""));
        }
    }
    const auto& table = arch::table(profile.architecture);
    if (const auto unknown = table.all() - profile.known; !unknown.empty()) {
        notes.push_back(unknown.size() == 1 ? std::string("one feature of which this source does not speak is unknown")
                                          : fmt::format("{} features of which this source does not speak are unknown", unknown.size()));
    }
    return profile;
}

}  // namespace cpulevel::profile::import
