#include "checkpoint/dump.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "checkpoint/criu_process.h"
#include "checkpoint/frozen_cgroup.h"
#include "checkpoint/guard.h"
#include "checkpoint/held_tree.h"
#include "checkpoint/process_end.h"
#include "checkpoint/uninterrupted.h"
#include "engine/ptrace/process_list.h"
#include "util/fd.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

namespace fs = std::filesystem;
namespace ptrace = engine::ptrace;

constexpr const char* kLog = "dump.log";

// Memory of processes is for its owner's eyes.
Result<void> make_folder(const std::string& folder) {
    if (::mkdir(folder.c_str(), 0700) == 0) return {};
    if (errno != EEXIST) return system_error(ErrorKind::usage, "cannot make the folder for the images", folder);
    struct stat status{};
    if (::stat(folder.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) return usage_error("not a folder", folder);
    std::error_code error;
    const bool empty = fs::is_empty(folder, error);
    if (error) return usage_error("not a folder that can be read", folder, error.message());
    if (!empty)
        return usage_error("the folder for the images is not empty", folder, "",
                           "name a new one, or remove what is in it");
    return {};
}

std::uint64_t bytes_in(const std::string& folder) {
    std::uint64_t sum = 0;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        std::error_code gone;
        if (at->path().extension() == ".img" && at->is_regular_file(gone)) sum += at->file_size(gone);
    }
    return sum;
}

// A job of a shell: the leader of its session, or who has its terminal, is none of those that are dumped.
bool is_job_of_others(pid_t root) {
    const pid_t session = ::getsid(root);
    const std::vector<pid_t> roots{root};
    const auto family = engine::family_of(roots, ptrace::all_processes());
    return session > 0 && std::ranges::find(family, session) == family.end();
}

// CRIU sends the signals and does not wait for what they do.
bool all_gone(const Held& held, std::chrono::seconds patience) {
    for (const Held::Tree& tree : held.trees) {
        const ProcessEnd end(tree.root);
        if (is_alive(tree) && !end.wait(patience) && is_alive(tree)) return false;
    }
    return true;
}

// As long as it lives, somebody takes the tree up again if we are killed.
class Guard {
   public:
    Guard() = default;
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
        if (guard_ != 0) dismiss_guard(guard_);
    }
    void is(pid_t guard) { guard_ = guard; }

   private:
    pid_t guard_ = 0;
};

Error with_state(Error error, const std::string& state) {
    error.hint = error.hint.empty() ? state : state + "; " + error.hint;
    return error;
}

class Dump {
   public:
    explicit Dump(const DumpSetup& setup) : setup_(setup) {}

    Result<DumpReport> run() {
        const auto criu = find_criu(setup_.criu.program);
        if (!criu) return std::unexpected(criu.error());
        const auto root = root_to_dump(setup_.pid);
        if (!root) return std::unexpected(root.error());
        if (auto fit = audit_before(*root); !fit) return std::unexpected(fit.error());
        if (auto made = make_folder(setup_.folder); !made) return std::unexpected(made.error());

        step(fmt::format("stopping process {} and what is below it", *root));
        CriuOptions wanted = setup_.criu.wanted;
        wanted.shell_job = wanted.shell_job || is_job_of_others(*root);
        const Uninterrupted uninterrupted;
        auto held = hold(*root, setup_.patience, setup_.version);
        if (!held) return std::unexpected(held.error());
        held->record.criu = wanted;
        step("CRIU writes the images");
        Guard guard;
        auto done = dump_held(*criu, *held, guard);
        if (!done) return std::unexpected(give_back(*held, done.error()));
        done->let_go_before = std::ranges::any_of(held->trees, &Held::Tree::by_others);
        if (setup_.leave_running) {
            if (const auto back = take_back(*held, setup_.patience); !back) {
                return std::unexpected(with_state(
                    back.error(), fmt::format("the checkpoint in {} is whole; the tree is stopped: `cpulevel adopt "
                                              "{}` tries again",
                                              setup_.folder, held->root)));
            }
        } else if (!all_gone(*held, setup_.patience)) {
            return machine_error("the tree did not end after the dump", std::to_string(held->root), "",
                                 fmt::format("the checkpoint in {} is whole; do not let both go on", setup_.folder));
        }
        return done;
    }

   private:
    void step(const std::string& text) const {
        if (setup_.progress) setup_.progress(text);
    }

    // As far as it can be seen while a supervisor has the tree; what is in registers is seen in the images.
    Result<void> audit_before(pid_t root) const {
        if (!setup_.target || setup_.force) return {};
        step("looking at what the processes depend on");
        const auto report = setup_.wait ? audit::wait_until_out_of_handlers(root, *setup_.target, *setup_.wait)
                                        : audit::audit_process(root, *setup_.target);
        if (!report) return std::unexpected(report.error());
        Judgement judgement;
        for (const audit::Finding& finding : report->findings) {
            if (finding.severity != audit::Severity::unsafe) continue;
            audit::Report one{report->subject, report->target, {}, {finding}};
            for (std::string& text : judgement_of(one).against) judgement.against.push_back(std::move(text));
        }
        if (judgement.against.empty()) return {};
        std::string hint = "--force dumps it all the same";
        if (report->waiting_helps() && !setup_.wait) hint = "all of it passes by itself: --wait SECONDS";
        if (report->waiting_helps() && setup_.wait) {
            const double seconds = std::chrono::duration<double>(*setup_.wait).count();
            hint = fmt::format("all of it passes by itself, but had not after {} seconds: a longer --wait; {}", seconds,
                               hint);
        }
        return std::unexpected(refusal("the tree cannot go there; nothing was done", report->target, judgement, hint));
    }

    Result<DumpReport> dump_held(const Criu& criu, const Held& held, Guard& guard) const {
        std::vector<std::string> words{
            "dump", "--tree", std::to_string(held.root), "--images-dir",    setup_.folder, "--log-file",
            kLog,   "-v2",    "--action-script",         setup_.criu.script};
        if (setup_.leave_running) words.emplace_back("--leave-running");
        if (const auto cgroup = frozen_cgroup(held.root)) words.insert(words.end(), {"--freeze-cgroup", *cgroup});
        add_options(words, held.record.criu, setup_.criu.options);
        const CriuLog log(setup_.folder + "/" + kLog);
        const auto end = run_criu(criu, words, [&](pid_t process) -> Result<void> {
            const auto started = start_guard(process, to_json(held.record), [&, self = ::getpid()] {
                // We are there, and dismiss the guard when everything is done; or we have been killed.
                const ProcessEnd ours(self);
                if (ours.valid()) static_cast<void>(ours.wait(std::chrono::milliseconds(-1)));
                if (std::ranges::any_of(held.trees, is_alive)) static_cast<void>(take_back_undumped(held));
            });
            if (!started) return std::unexpected(started.error());
            guard.is(*started);
            return {};
        });
        if (!end) return std::unexpected(end.error());
        if (end->status != 0) return std::unexpected(criu_error("the tree was not dumped", log, *end));
        auto record = read_record(setup_.folder);
        if (!record) return std::unexpected(record.error());
        if (!*record)
            return machine_error("CRIU did not call its action script", setup_.criu.script, "",
                                 "does another --action-script forbid it?");
        DumpReport report;
        report.root = held.root;
        report.folder = setup_.folder;
        report.criu_version = criu.version;
        report.bytes = bytes_in(setup_.folder);
        report.left_running = setup_.leave_running;
        report.record = std::move(**record);
        return report;
    }

    // What CRIU has let go on is taken up; a record beside images that are not whole would make them look so.
    Result<std::vector<ptrace::AdoptReport>> take_back_undumped(const Held& held) const {
        ::unlink((setup_.folder + "/" + kFileName).c_str());
        return take_back(held, setup_.patience);
    }

    Error give_back(const Held& held, Error error) const {
        const auto back = take_back_undumped(held);
        if (!back) {
            return with_state(std::move(error),
                              fmt::format("the tree is stopped and not levelled ({}); `cpulevel adopt {}` tries again",
                                          back.error().message(), held.root));
        }
        if (std::ranges::none_of(held.trees, is_alive)) return with_state(std::move(error), "the tree has ended");
        if (std::ranges::any_of(held.trees, &Held::Tree::by_others)) {
            return with_state(std::move(error), "somebody else had let the tree go (another dump?), and it is left to them");
        }
        return with_state(std::move(error), "the tree runs on, levelled, as before");
    }

    const DumpSetup& setup_;
};

}  // namespace

Result<DumpReport> dump(const DumpSetup& setup) { return Dump(setup).run(); }

}  // namespace cpulevel::checkpoint
