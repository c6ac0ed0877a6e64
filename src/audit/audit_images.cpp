#include <fmt/format.h>

#include <algorithm>

#include "audit/audit.h"
#include "audit/judge.h"
#include "audit/xstate.h"
#include "images/checkpoint.h"

namespace cpulevel::audit {
namespace {

class ImageMemory : public Memory {
   public:
    explicit ImageMemory(images::Pages pages) : pages_(std::move(pages)) {}
    [[nodiscard]] std::size_t read(std::uint64_t address, std::span<std::byte> into) const override {
        return pages_.read(address, into);
    }

   private:
    images::Pages pages_;
};

Thread thread_of(pid_t tid, const images::Core& core) {
    Thread thread;
    thread.tid = tid;
    thread.is_32bit = core.is_32bit;
    if (core.has_registers) thread.stack_pointer = core.stack_pointer;
    if (!core.has_registers) thread.unreadable = "this version cannot read registers of this architecture";
    thread.blocked_signals = core.blocked_signals;
    thread.vector_state = VectorState{.header = core.state_header.value_or(3), .in_use = core.state_in_use, .pkru = core.pkru};
    if (core.pkru && !restricts(*core.pkru)) thread.vector_state->in_use &= ~kPkruBit;
    thread.shadow_stack = core.shadow_stack;
    if (core.alternate_stack) thread.alternate_stack = {core.alternate_stack->address, core.alternate_stack->size};
    thread.pointer_keys = core.pointer_keys;
    return thread;
}

Snapshot snapshot_of(images::DumpedProcess process) {
    Snapshot snapshot;
    snapshot.pid = process.pid;
    snapshot.name = std::move(process.name);
    snapshot.architecture = process.architecture;
    snapshot.aux_vector = std::move(process.aux_vector);
    snapshot.from_images = true;
    for (images::MappedArea& mapped : process.areas) {
        snapshot.mappings.push_back({mapped.area.start, mapped.area.end, mapped.area.readable, mapped.area.writable,
                                     mapped.area.executable, std::move(mapped.path)});
    }
    for (const auto& [tid, core] : process.threads) snapshot.threads.push_back(thread_of(tid, core));
    if (process.pages) snapshot.memory = std::make_unique<ImageMemory>(std::move(*process.pages));
    return snapshot;
}

}  // namespace

Result<Report> audit_images(const std::string& folder, const Target& target, std::span<const pid_t> portable) {
    auto checkpoint = images::read_checkpoint(folder);
    if (!checkpoint) return std::unexpected(checkpoint.error());
    if (checkpoint->processes.empty()) return usage_error("no process is in this checkpoint", folder);
    Report report;
    report.subject = "checkpoint " + folder;
    report.target = target.name;
    for (images::DumpedProcess& process : checkpoint->processes) {
        const std::string no_pages = process.no_pages_because;
        Snapshot snapshot = snapshot_of(std::move(process));
        snapshot.portable = std::ranges::find(portable, snapshot.pid) != portable.end();
        judge(examine(snapshot), target, report);
        if (no_pages.empty()) continue;
        Finding finding = finding_of(snapshot, 0, Kind::unreadable, Severity::unknown);
        finding.what = "its memory is not in the checkpoint";
        finding.why = no_pages;
        finding.advice = "audit the folder that holds all files of the dump";
        report.findings.push_back(std::move(finding));
    }
    return report;
}

}  // namespace cpulevel::audit
