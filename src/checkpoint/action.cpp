#include "checkpoint/action.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "checkpoint/guard.h"
#include "checkpoint/held_tree.h"
#include "checkpoint/judgement.h"
#include "checkpoint/note.h"
#include "checkpoint/record.h"
#include "checkpoint/take_under.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

// Who asks CRIU to leave the processes stopped (--leave-stopped, -s) wants them so: they are not taken up again.
bool leaves_stopped(pid_t criu) {
    const auto line = read_file(fmt::format("/proc/{}/cmdline", criu));
    if (!line) return false;
    const auto words = split(*line, '\0');
    return std::ranges::find(words, "--leave-stopped") != words.end() || std::ranges::find(words, "-s") != words.end();
}

// CRIU names the folder by a descriptor of its own, /proc/PID/fd/N, which says nothing to whoever reads its log. Only words are
// changed: what is read and written is what CRIU has open.
Error with_name_of_folder(Error error, const std::string& images) {
    std::error_code failed;
    const std::string name = std::filesystem::read_symlink(images, failed).string();
    if (failed || name.empty()) return error;
    for (std::string* text : {&error.on, &error.why, &error.hint}) {
        for (auto at = text->find(images); at != std::string::npos; at = text->find(images, at + name.size())) {
            text->replace(at, images.size(), name);
        }
    }
    return error;
}

std::string processes(std::size_t count) { return fmt::format("{} process{}", count, count == 1 ? "" : "es"); }

Result<void> before_dump(const ActionSetup& setup) {
    if (setup.root == 0) return usage_error("which process is dumped?", "CRTOOLS_INIT_PID", "CRIU did not tell");
    if (const auto note = find_note(setup.criu); !note || *note) {  // `cpulevel dump` has done it
        return note ? Result<void>{} : std::unexpected(note.error());
    }
    auto held = hold(setup.root, setup.patience, setup.version);
    if (!held) return std::unexpected(held.error());
    if (held->trees.empty()) return {};
    const bool stay = leaves_stopped(setup.criu);
    const auto guarded = start_guard(setup.criu, to_json(held->record), [&] {
        if (stay) return;
        if (const auto back = take_back(*held, setup.patience); !back)
            setup.complain("after the dump: " + back.error().message());
    });
    if (!guarded) {
        if (const auto back = take_back(*held, setup.patience); !back) return std::unexpected(back.error());
        return std::unexpected(guarded.error());
    }
    for (const LevelledTree& tree : held->record.trees) {
        setup.say(fmt::format("let go, stopped: {} from {} on, level {}", processes(tree.processes), tree.root,
                              printable(tree.level.name, 80)));
    }
    return {};
}

Result<void> after_dump(const ActionSetup& setup) {
    // Without a levelled tree there is no note, and nothing to do.
    const auto note = find_note(setup.criu);
    if (!note) return std::unexpected(note.error());
    if (!*note) return {};
    auto record = from_json((*note)->text, "what was let go before the dump");
    if (!record) return std::unexpected(record.error());
    const audit::Target target = setup.target ? *setup.target : audit::target_of(record->trees.front().level);
    const auto report = audit_images(*record, setup.images, target);
    if (!report) return std::unexpected(report.error());
    const Judgement judgement = judgement_of(*report);
    if (setup.target && !judgement.against.empty() && !setup.force) {
        return std::unexpected(refusal("this checkpoint cannot go there", report->target, judgement, ""));
    }
    for (const std::string& one : judgement.against) setup.say("on any machine of the level: " + one);
    record->audit = summary(*report);
    return write_record(setup.images, *record);
}

Result<void> before_restore(const ActionSetup& setup) {
    const auto record = read_record(setup.images);
    if (!record) return std::unexpected(record.error());
    if (!*record) return {};
    const auto judgement = may_come_here(**record, setup.images);
    if (!judgement) return std::unexpected(judgement.error());
    if (!judgement->against.empty() && !setup.force) {
        return std::unexpected(refusal("this machine may not take the checkpoint", setup.images, *judgement, ""));
    }
    for (const std::string& one : judgement->against) setup.say("against it, and overruled: " + one);
    const auto guarded = start_guard(setup.criu, to_json(**record), [] {});
    return guarded ? Result<void>{} : std::unexpected(guarded.error());
}

Result<void> after_resume(const ActionSetup& setup) {
    const auto found = find_note(setup.criu);
    if (!found) return std::unexpected(found.error());
    if (!*found) return {};
    if (setup.root == 0) return usage_error("which process was restored?", "CRTOOLS_INIT_PID", "CRIU did not tell");
    const auto record = from_json((*found)->text, "what is restored");
    dismiss_guard((*found)->holder);
    if (!record) return std::unexpected(record.error());
    const auto reports = take_under(*record, setup.root, leaves_stopped(setup.criu), setup.patience);
    if (!reports) return std::unexpected(reports.error());
    for (const auto& report : *reports) {
        const std::string what = report.already ? std::string("already") : processes(report.done.processes.size());
        setup.say(fmt::format("levelled by supervisor {}: {}, level {}", report.supervisor, what,
                              printable(report.level, 80)));
    }
    return {};
}

Result<void> act(const ActionSetup& setup) {
    if (setup.action == "pre-dump") return before_dump(setup);
    if (setup.action == "post-dump") return after_dump(setup);
    if (setup.action == "pre-restore") return before_restore(setup);
    if (setup.action == "post-resume") return after_resume(setup);
    return {};
}

}  // namespace

Result<void> run_action(const ActionSetup& setup) {
    auto done = act(setup);
    if (!done) return std::unexpected(with_name_of_folder(std::move(done.error()), setup.images));
    return done;
}

}  // namespace cpulevel::checkpoint
