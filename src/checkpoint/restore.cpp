#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "checkpoint/criu_process.h"
#include "checkpoint/dump.h"
#include "checkpoint/take_under.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

constexpr const char* kLog = "restore.log";
constexpr const char* kPidFile = "restored.pid";

Result<pid_t> restored_root(const std::string& path) {
    const auto text = read_file(path, 64);
    const auto number = text ? parse_decimal(trim(*text)) : std::nullopt;
    if (number && *number > 0 && *number <= 0x7fffffffU) return static_cast<pid_t>(*number);
    return machine_error("CRIU did not say which process it has restored", path);
}

Result<void> is_folder(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return usage_error("no such folder", path);
        return system_error(ErrorKind::usage, "cannot look into the folder", path);
    }
    return S_ISDIR(status.st_mode) ? Result<void>{} : usage_error("not a folder", path);
}

class Restore {
   public:
    explicit Restore(const RestoreSetup& setup) : setup_(setup) {}

    Result<RestoreReport> run() {
        RestoreReport report;
        if (auto there = is_folder(setup_.folder); !there) return std::unexpected(there.error());
        auto record = read_record(setup_.folder);
        if (!record) return std::unexpected(record.error());
        if (!*record) {
            return usage_error("not a checkpoint of a levelled tree", setup_.folder,
                               fmt::format("there is no {} in it", kFileName),
                               "`criu restore` restores what has no level; `cpulevel adopt` then puts it under one");
        }
        report.record = std::move(**record);
        const auto criu = find_criu(setup_.criu.program);
        if (!criu) return std::unexpected(criu.error());
        report.criu_version = criu->version;
        step("comparing the checkpoint with this machine");
        auto judgement = may_come_here(report.record, setup_.folder);
        if (!judgement) return std::unexpected(judgement.error());
        if (!judgement->against.empty() && !setup_.force) {
            return std::unexpected(refusal("this machine may not take the checkpoint; nothing was restored",
                                           setup_.folder, *judgement, "--force restores it all the same"));
        }
        report.cautions = std::move(judgement->cautions);
        report.cautions.insert(report.cautions.begin(), judgement->against.begin(), judgement->against.end());
        step("CRIU restores the processes");
        // Between CRIU's end and ours what was restored stands still and belongs to nobody.
        report.uninterrupted = std::make_unique<Uninterrupted>();
        TerminalJob::expect();
        const auto root = start(*criu, report.record);
        if (!root) return std::unexpected(root.error());
        report.root = *root;
        step("putting them under their level");
        report.at_terminal = TerminalJob::is_at_terminal(*root) && !setup_.leave_stopped;
        if (report.at_terminal || is_first_process()) report.job = std::make_unique<TerminalJob>();
        auto trees =
            take_under(report.record, *root, setup_.leave_stopped, setup_.patience, report.job ? ::getpid() : 0);
        if (!trees) {
            Error error = trees.error();
            const std::string state =
                is_first_process()
                    ? "nothing of what was restored has run; it ends now, with the pid namespace"
                    : fmt::format("what was restored is there from process {} on and stopped; nothing of it has run. End it "
                                  "(kill -9), or try `cpulevel adopt {} --continue --level LEVEL`",
                                  *root, *root);
            error.hint = error.hint.empty() ? state : state + "; " + error.hint;
            return std::unexpected(std::move(error));
        }
        report.trees = std::move(*trees);
        if (!report.job) report.uninterrupted.reset();
        return report;
    }

   private:
    void step(const std::string& text) const {
        if (setup_.progress) setup_.progress(text);
    }

    Result<pid_t> start(const Criu& criu, const Record& record) const {
        const std::string pid_file = setup_.folder + "/" + kPidFile;
        ::unlink(pid_file.c_str());
        CriuOptions options = record.criu;
        options.shell_job |= setup_.criu.wanted.shell_job;
        options.tcp_established |= setup_.criu.wanted.tcp_established;
        options.file_locks |= setup_.criu.wanted.file_locks;
        options.external_unix |= setup_.criu.wanted.external_unix;
        // CRIU's own comparison looks at the machine where the dump was made, not at what the programs were shown: it
        // refuses good moves and lets bad ones pass. Ours was made before.
        std::vector<std::string> words{"restore",
                                       "--images-dir",
                                       setup_.folder,
                                       "--log-file",
                                       kLog,
                                       "-v2",
                                       "--restore-detached",
                                       "--cpu-cap=none",
                                       "--manage-cgroups=ignore",
                                       "--pidfile",
                                       kPidFile};
        add_options(words, options, setup_.criu.options);
        const CriuLog log(setup_.folder + "/" + kLog);
        const auto end = run_criu(criu, words);
        if (!end) return std::unexpected(end.error());
        if (end->status != 0) return std::unexpected(criu_error("nothing was restored", log, *end));
        return restored_root(pid_file);
    }

    const RestoreSetup& setup_;
};

}  // namespace

Result<RestoreReport> restore(const RestoreSetup& setup) { return Restore(setup).run(); }

}  // namespace cpulevel::checkpoint
