#include "engine/ptrace/run_log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <nlohmann/json.hpp>

#include "engine/ptrace/memory_map.h"
#include "util/file.h"
#include "util/output_file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::size_t kMostExecs = 10'000;  // kept for the report; the rest is counted
constexpr std::size_t kMostSites = 100'000;
constexpr std::size_t kMostProblems = 1'000;
constexpr std::size_t kMostLibraries = 10'000;

std::string_view aux_name(std::uint64_t type) {
    switch (type) {
        case inherit::kAtHwcap: return "AT_HWCAP";
        case inherit::kAtHwcap2: return "AT_HWCAP2";
        case inherit::kAtHwcap3: return "AT_HWCAP3";
        case inherit::kAtHwcap4: return "AT_HWCAP4";
        case inherit::kAtMinimumSignalStack: return "AT_MINSIGSTKSZ";
        default: return "AT_?";
    }
}

std::string in_words(const PlantingCounts& counts) {
    std::string text = fmt::format("{} answered from memory, {} traps, {} undecided", counts.in_memory, counts.planted,
                                   counts.undecided);
    if (counts.unreadable != 0) text += "; it could not be examined";
    return text;
}

nlohmann::json to_json(const PlantingCounts& counts) {
    return {{"sites_in_memory", counts.in_memory}, {"planted_sites", counts.planted}, {"undecided_sites", counts.undecided}};
}

}  // namespace

RunLog::RunLog(Options options) : options_(std::move(options)) {
    auto record = TreeRecord::create(
        {options_.level_name, "ptrace", options_.method, options_.command, options_.coverage, options_.level_text});
    if (record) {
        record_ = std::move(*record);
    } else if (options_.verbose) {
        line("not listed by `cpulevel status`: " + record.error().message());
    }
}

TreeCounters& RunLog::counters() { return record_ ? record_->counters() : unpublished_; }

void RunLog::line(const std::string& text) const {
    if (!options_.verbose_to.valid()) return;
    const std::string whole = "cpulevel: " + text + "\n";
    // Best effort: a reader that went away must not stop the programs.
    [[maybe_unused]] const ssize_t ignored = ::write(options_.verbose_to.get(), whole.data(), whole.size());
}

void RunLog::exec(ExecRecord record) {
    counters().execs.fetch_add(1, std::memory_order_relaxed);
    counters().cpuid_sites.fetch_add(record.planting.in_memory, std::memory_order_relaxed);
    if (!record.problem.empty()) {
        counters().uncovered_execs.fetch_add(1, std::memory_order_relaxed);
        if (!options_.verbose) problem(record.pid, record.program + ": " + record.problem);
    }
    if (!wants_details()) return;
    modules_.erase(record.pid);
    if (options_.verbose) {
        std::string text = fmt::format("{} {}{}:", record.pid, printable(record.program, 4096),
                                       record.is_32bit ? " (32-bit)" : "");
        for (const inherit::AuxEdit& edit : record.edits) {
            text += fmt::format(" {} is now {:#x};", aux_name(edit.type), edit.value);
        }
        text += fmt::format(" CPUID: {}", options_.method);
        if (record.planting.in_memory + record.planting.planted + record.planting.undecided != 0) {
            text += fmt::format(" ({})", in_words(record.planting));
        }
        if (!record.problem.empty()) text += "; NOT COVERED: " + record.problem;
        line(text);
    }
    if (execs_.size() < kMostExecs) execs_.push_back(std::move(record));
}

void RunLog::library(pid_t pid, int fd, const PlantingCounts& counts) {
    counters().cpuid_sites.fetch_add(counts.in_memory, std::memory_order_relaxed);
    if (!wants_details() || counts == PlantingCounts{} || libraries_.size() >= kMostLibraries) return;
    std::error_code error;
    const std::string path = std::filesystem::read_symlink(fmt::format("/proc/{}/fd/{}", pid, fd), error).string();
    if (error) return;
    if (options_.verbose) line(fmt::format("{} maps {}: CPUID: {}", pid, printable(path, 4096), in_words(counts)));
    libraries_[path] = counts;
}

void RunLog::retract(const ExecRecord& record) {
    counters().execs.fetch_sub(1, std::memory_order_relaxed);
    counters().cpuid_sites.fetch_sub(record.planting.in_memory, std::memory_order_relaxed);
    const auto told = std::ranges::find(execs_.rbegin(), execs_.rend(), record.pid, &ExecRecord::pid);
    if (told != execs_.rend()) execs_.erase(std::next(told).base());
}

void RunLog::problem(pid_t pid, const std::string& text) {
    if (problems_.size() >= kMostProblems) return;
    problems_.push_back(fmt::format("{}: {}", pid, printable(text, 4096)));
    line(problems_.back());
    if (!options_.verbose) tell_front("not covered: " + problems_.back());
}

void RunLog::tell_front(const std::string& text) const {
    if (options_.problems_to < 0) return;
    const std::string told = "w" + text + "\n";
    // The pipe does not block: if nobody reads so many, the report has them all.
    [[maybe_unused]] const ssize_t ignored = ::write(options_.problems_to, told.data(), told.size());
}

std::string RunLog::site(pid_t pid, std::uint64_t address) {
    auto look = [&]() -> std::optional<std::string> {
        const auto known = modules_.find(pid);
        if (known == modules_.end()) return std::nullopt;
        for (const Module& module : known->second) {
            if (address >= module.start && address < module.end) {
                return fmt::format("{}+{:#x}", module.path, address - module.start + module.offset);
            }
        }
        return std::nullopt;
    };
    if (auto found = look()) return *found;
    std::vector<Module> modules;
    for (const MemoryMapping& mapping : read_memory_map(pid)) {
        if (!mapping.executable) continue;
        modules.push_back({mapping.start, mapping.end, mapping.offset,
                           mapping.path.empty() ? "[anonymous]" : printable(mapping.path, 4096)});
    }
    modules_[pid] = std::move(modules);
    return look().value_or("[unknown]");
}

void RunLog::cpuid_trap(pid_t pid, std::uint64_t address, std::uint32_t leaf) {
    counters().cpuid_traps.fetch_add(1, std::memory_order_relaxed);
    if (options_.report_path.empty() || trap_sites_.size() >= kMostSites) return;
    ++trap_sites_[fmt::format("{} leaf {:#x}", site(pid, address), leaf)];
}

void RunLog::gone(pid_t pid) { modules_.erase(pid); }

void RunLog::write_report(std::optional<int> exit_status) {
    if (options_.report_path.empty() || report_is_read_) return;
    const TreeCounters& counters = record_ ? record_->counters() : unpublished_;
    nlohmann::json report;
    report["schema"] = "cpulevel/run-report/1";
    report["level"] = options_.level_name;
    report["cpuid_method"] = options_.method;
    report["command"] = options_.command;
    if (exit_status) report["exit_status"] = *exit_status;
    report["execs"] = counters.execs.load();
    report["cpuid_traps"] = counters.cpuid_traps.load();
    report["signals_passed"] = counters.signals_passed.load();
    report["uncovered_execs"] = counters.uncovered_execs.load();
    report["problems"] = problems_;
    report["coverage"] = nlohmann::json::array();
    for (const Channel& channel : options_.coverage) {
        report["coverage"].push_back({{"channel", channel.name}, {"state", name(channel.state)}, {"why", channel.why}});
    }
    report["programs"] = nlohmann::json::array();
    for (const ExecRecord& exec : execs_) {
        nlohmann::json edits = nlohmann::json::object();
        for (const inherit::AuxEdit& edit : exec.edits) edits[aux_name(edit.type)] = fmt::format("{:#x}", edit.value);
        nlohmann::json program = {{"pid", exec.pid},
                                  {"program", printable(exec.program, 4096)},
                                  {"bits", exec.is_32bit ? 32 : 64},
                                  {"secure", exec.secure},
                                  {"auxiliary_vector", edits},
                                  {"problem", exec.problem}};
        program.update(to_json(exec.planting));
        report["programs"].push_back(std::move(program));
    }
    report["libraries"] = nlohmann::json::array();
    for (const auto& [path, counts] : libraries_) {
        nlohmann::json library = {{"library", printable(path, 4096)}, {"examined", counts.unreadable == 0}};
        library.update(to_json(counts));
        report["libraries"].push_back(std::move(library));
    }
    report["trap_sites"] = trap_sites_;
    // Names come from other people's file systems and need not be UTF-8.
    const std::string text = report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
    if (const auto written = write_output_file(options_.report_path, text + "\n"); !written) {
        tell_front("the report is missing: " + written.error().message());
    }
    std::error_code ignored;
    report_is_read_ = !std::filesystem::is_regular_file(options_.report_path, ignored);
}

}  // namespace cpulevel::engine::ptrace
