// `cpulevel audit`: may this process, tree or checkpoint move?
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "audit/audit.h"
#include "checkpoint/judgement.h"
#include "checkpoint/record.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "cli/view_audit.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string subject;
    std::string target;
    bool single = false;
    bool json = false;
    double wait = -1;
};

bool is_folder(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<audit::Report> look(const Options& options, const audit::Target& target) {
    const auto pid = parse_decimal(options.subject);
    if (!pid) {
        if (options.wait >= 0) return usage_error("only a process can be waited for", options.subject);
        // Beside the images of a levelled tree lies what is known of our own processes among them.
        const auto record = checkpoint::read_record(options.subject);
        if (!record) return std::unexpected(record.error());
        return *record ? checkpoint::audit_images(**record, options.subject, target) : audit::audit_images(options.subject, target);
    }
    if (*pid < 1 || *pid > 0x7fffffff) return usage_error("no such process", options.subject);
    const audit::ProcessOptions how{.tree = !options.single};
    if (options.wait < 0) return audit::audit_process(static_cast<pid_t>(*pid), target, how);
    const auto patience = std::chrono::milliseconds(static_cast<std::int64_t>(options.wait * 1000));
    return audit::wait_until_out_of_handlers(static_cast<pid_t>(*pid), target, patience, how);
}

Result<int> run(const Options& options) {
    // A number is a process; a folder of that name needs a slash ("./4711").
    if (!parse_decimal(options.subject) && !is_folder(options.subject)) {
        return usage_error("neither a process number nor a folder of images", options.subject, {},
                           "cpulevel audit PID, or the folder that criu dump --images-dir wrote");
    }
    const auto target = audit_target(options.target);
    if (!target) return std::unexpected(target.error());
    const auto report = look(options, *target);
    if (!report) return std::unexpected(report.error());
    const std::string text = options.json ? to_text(audit::to_json(*report)) : audit_text(*report, View::of_standard_output(false));
    if (auto written = write_standard_output(text); !written) return std::unexpected(written.error());
    return report->safe() ? 0 : 1;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("SUBJECT", options->subject, "A process (its number), or a folder of CRIU images")
        ->required()
        ->type_name("PID|IMAGES");
    app.add_option("--to", options->target, "Where it is to go: a machine's profile, or a level (any machine of it)")
        ->required()
        ->type_name("LEVEL|PROFILE");
    app.add_flag("--single", options->single, "Only this process, not those below it");
    app.add_option("--wait", options->wait, "Wait so long for threads to leave signal handlers that the target cannot take")
        ->check(CLI::Range(0.0, 86400.0).description(""))
        ->type_name("SECONDS");
    app.add_flag("--json", options->json, "Print the report as JSON");
    return [options](const Invocation&) { return run(*options); };
}

const Registration kRegistration(
    {.name = "audit",
     .order = 65,
     .summary = "Is it safe to move a process, a tree of processes or a checkpoint?",
     .details = "Looks at what the process depends on: signal handlers it is inside of, vector registers in use, what it was "
                "shown of the CPU when it started, libraries of a higher level, and more. The process is stopped for some "
                "milliseconds, and goes on as it was. Exit status: 0 safe; 1 not safe, or something could not be found out; 2 "
                "unreadable; 3 not possible here.",
     .examples = "  cpulevel audit 4711 --to fleet.json\n"
                 "  cpulevel audit 4711 --to other-host.json --wait 10\n"
                 "  cpulevel audit /var/lib/criu/images --to x86-64-v2\n"
                 "  cpulevel audit 4711 --to x86-64-v3 --json | jq '.findings[].what'\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
