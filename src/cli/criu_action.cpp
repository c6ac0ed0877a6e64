// `cpulevel criu-action`: this executable as an action script of CRIU.
#include <fmt/format.h>
#include <syslog.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "checkpoint/action.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/view_audit.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

Result<int> run() {
    checkpoint::ActionSetup setup;
    setup.action = environment("CRTOOLS_SCRIPT_ACTION");
    if (setup.action.empty()) {
        return usage_error("this is for CRIU to call", "criu-action", "CRTOOLS_SCRIPT_ACTION is not set",
                           "criu dump --action-script /usr/bin/cpulevel ...");
    }
    setup.images = environment("CRTOOLS_IMAGE_DIR");
    const auto root = parse_decimal(environment("CRTOOLS_INIT_PID"));
    if (root && *root <= 0x7fffffffU) setup.root = static_cast<pid_t>(*root);
    setup.criu = ::getppid();
    setup.version = CPULEVEL_VERSION;
    setup.force = environment("CPULEVEL_CRIU_FORCE") == "1";
    if (const std::string to = environment("CPULEVEL_CRIU_TO"); !to.empty() && setup.action == "post-dump") {
        auto target = audit_target(to);
        if (!target) return std::unexpected(target.error());
        setup.target = std::move(*target);
    }
    // CRIU puts both outputs of a script into its log.
    setup.say = [](const std::string& line) { static_cast<void>(write_standard_output("cpulevel: " + line + "\n")); };
    setup.complain = [](const std::string& line) { ::syslog(LOG_DAEMON | LOG_ERR, "cpulevel: %s", line.c_str()); };
    const auto done = checkpoint::run_action(setup);
    if (!done) {
        // Nobody looks at the exit status of the last one: the system's log is told as well.
        if (setup.action == "post-resume")
            setup.complain("what CRIU has restored is not levelled: " + done.error().message());
        return std::unexpected(done.error());
    }
    return 0;
}

Action setup(CLI::App&) {
    return [](const Invocation&) { return run(); };
}

const Registration kRegistration(
    {.name = "criu-action",
     .order = 86,
     .summary = "For CRIU: its action script (also by calling `cpulevel` without arguments)",
     .details = "CRIU calls it at each step of a dump or restore (--action-script, or action-script in "
                "/etc/criu/*.conf). Before a dump "
                "the levelled tree is let go of and left stopped; after it cpulevel.json is written beside the images; "
                "before a restore "
                "that is compared with this machine; after it the tree comes under its level, before any instruction "
                "of it runs. What has "
                "no level is left alone.",
     .examples = "  criu dump -t 4711 -D images --action-script $(command -v cpulevel)\n"
                 "  echo action-script $(command -v cpulevel) >>/etc/criu/default.conf",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
