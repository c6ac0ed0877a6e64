// What an importer is. One file of this folder per format; import.cpp holds the list.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "arch/cpuid_dump.h"
#include "profile/derive.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::profile::import {

struct Format {
    std::string_view name;
    std::string_view title;
    bool (*recognises)(std::string_view text);
    Result<std::vector<NodeProfile>> (*read)(std::string_view text, const std::string& name);
    // Where one node of a file may be bad and the others good: each for itself. Null where a file stands or falls as one.
    Result<std::vector<Result<NodeProfile>>> (*read_each)(std::string_view text, const std::string& name) = nullptr;
};

// For formats that describe one node a file: one_node<read>.
template <Result<NodeProfile> (*Read)(std::string_view, const std::string&)>
Result<std::vector<NodeProfile>> one_node(std::string_view text, const std::string& name) {
    auto profile = Read(text, name);
    if (!profile) return std::unexpected(std::move(profile.error()));
    std::vector<NodeProfile> profiles;
    profiles.push_back(*std::move(profile));
    return profiles;
}

extern const Format kOurJson, kCpuidTool, kCpuinfo, kInstLatx64, kLibcpuid, kLscpu, kLibvirt, kQemu, kCriu, kKubernetes,
    kRunsc, kArchspec, kSysctl, kCpuidNumbers;

inline constexpr std::size_t kMostEntries = 1U << 19U;  // CPUID answers kept of one file, equal CPUs counted once
inline constexpr std::size_t kMostPerCpu = 4096;        // CPUID answers of one CPU; real ones have about 150

// Walks lines, numbered from 1, without their ends (\n, \r\n). A line is never copied.
class Lines {
   public:
    explicit Lines(std::string_view text) : rest_(text) {}
    [[nodiscard]] bool next(std::string_view& line);
    [[nodiscard]] std::size_t number() const { return number_; }
    [[nodiscard]] bool is_unterminated() const { return unterminated_; }  // the last one, without an end of line: maybe cut

   private:
    std::string_view rest_;
    std::size_t number_ = 0;
    bool unterminated_ = false;
};

[[nodiscard]] std::unexpected<Error> refuse(const std::string& name, std::size_t line, std::string why,
                                            std::string hint = {});

// Exactly eight hexadecimal digits at the start of the text, as register values are printed.
[[nodiscard]] std::optional<std::uint32_t> take_hex8(std::string_view& text);

// Builds a profile from raw CPUID answers as they come, CPU by CPU.
class RawBuilder {
   public:
    explicit RawBuilder(std::string name) : name_(std::move(name)) {}

    // A heading: a new CPU begins. Without a number it is counted on.
    Result<void> begin_cpu(std::size_t line, std::optional<std::uint64_t> number = std::nullopt);
    // A repeated (leaf, subleaf) with the same answer is harmless, with another one an error.
    Result<void> add(std::size_t line, arch::CpuidKey key, const arch::CpuidRegisters& registers);
    // For formats that print no subleaf: kept apart until the CPU is complete, then numbered (see resolve()).
    Result<void> add_unnumbered(std::size_t line, std::uint32_t leaf, const arch::CpuidRegisters& registers);
    [[nodiscard]] bool has(std::uint32_t leaf) const;
    [[nodiscard]] Result<NodeProfile> finish(std::string origin);

   private:
    Result<void> close_cpu(std::size_t line);
    void resolve();

    std::string name_;
    CpuCollector collector_;
    arch::CpuidDump current_;
    std::map<std::uint32_t, std::vector<arch::CpuidRegisters>> unnumbered_;
    std::size_t unnumbered_count_ = 0;
    unsigned cpu_ = 0;
    std::vector<bool> seen_;
    bool dropped_components_ = false;
};

}  // namespace cpulevel::profile::import
