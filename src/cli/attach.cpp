// `cpulevel attach`: a level for a cgroup or a process tree, enforced by the kernel (BPF), without a supervisor.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/level_argument.h"
#include "cli/output.h"
#include "cli/view.h"
#include "engine/bpf/attachments.h"
#include "profile/probe.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string cgroup;
    std::int64_t tree = 0;
    std::string level;
    bool inherit = false;
    bool strict = false;
    bool json = false;
};

Result<std::optional<level::Level>> level_of(const Options& options) {
    if (options.level.empty()) return std::optional<level::Level>();
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    auto level = level_argument(options.level, &*here);
    if (!level) return std::unexpected(level.error());
    return std::optional(std::move(*level));
}

std::string text_of(const Options& options, const std::optional<level::Level>& level, const engine::bpf::Attached& attached) {
    const std::string target = options.cgroup.empty() ? fmt::format("the tree of process {}", options.tree) : "cgroup " + safe(options.cgroup);
    const std::string what = level ? "level " + safe(level->name) : "inheritance of HWCAPs";
    std::string text = fmt::format("Attached {} to {}. It holds for programs that are executed from now on.\n", what, target);
    if (attached.running != 0) {
        text += fmt::format("{} {} inside already and {} what {} been told until the next exec.\n",
                            fmt::format("{} process{}", attached.running, attached.running == 1 ? "" : "es"),
                            attached.running == 1 ? "is" : "are", attached.running == 1 ? "keeps" : "keep",
                            attached.running == 1 ? "it has" : "they have");
    }
    return text;
}

Result<int> attach(const Options& options) {
    if (options.cgroup.empty() == (options.tree == 0)) {
        return usage_error("one target is needed", {}, {}, "--cgroup FOLDER or --tree PID");
    }
    if (options.level.empty() == !options.inherit) {
        return usage_error("either a level or --inherit is needed", {}, {}, "a level includes the inheritance of what programs set by prctl");
    }
    const auto level = level_of(options);
    if (!level) return std::unexpected(level.error());
    const engine::bpf::AttachOptions how{.level = *level ? &**level : nullptr, .strict = options.strict};
    const auto attached = options.cgroup.empty() ? engine::bpf::attach_tree(static_cast<pid_t>(options.tree), how)
                                                 : engine::bpf::attach_cgroup(options.cgroup, how);
    if (!attached) return std::unexpected(attached.error());
    for (const std::string& warning : attached->warnings) print_warning(warning);
    if (options.json) {
        nlohmann::json json{{"schema", "cpulevel/attach/1"}, {"level", nullptr}, {"strict", options.strict}, {"running", attached->running}, {"warnings", attached->warnings}};
        if (*level) json["level"] = (*level)->name;
        if (!options.cgroup.empty()) json["cgroup"] = options.cgroup;
        if (options.tree != 0) json["tree"] = options.tree;
        tell_what_was_done(to_text(json));
        return 0;
    }
    for (const engine::Channel& channel : engine::bpf::coverage()) {
        if (channel.state != engine::ChannelState::full) {
            print_warning(fmt::format("{}: {}: {}", channel.name, engine::name(channel.state), channel.why));
        }
    }
    tell_what_was_done(text_of(options, *level, *attached));
    return 0;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("--cgroup", options->cgroup, "A folder of the cgroup v2 file system: it, and all below it");
    app.add_option("--tree", options->tree, "A process and its descendants")->check(CLI::Range(std::int64_t{1}, std::int64_t{0x7fffffff}));
    app.add_option("-l,--level", options->level, kLevelHelp);
    app.add_flag("--inherit", options->inherit, "No level: only hand on what programs set for themselves by prctl");
    app.add_flag("--strict", options->strict, "Kill a program that cannot be levelled, before its first instruction");
    app.add_flag("--json", options->json, "Print JSON");
    return [options](const Invocation&) { return attach(*options); };
}

const Registration kRegistration({
    .name = "attach",
    .order = 70,
    .summary = "Put a cgroup or a process tree under a level, enforced by the kernel (BPF)",
    .details = "Programs that are executed inside are told the level's features only, from their first instruction on. No process of "
               "cpulevel stays. CPUID is not covered: see cpulevel run. Inside of several, a program is told what all of them show. "
               "Needs root, BPF, and lockdown off.",
    .examples = "  cpulevel attach --cgroup /sys/fs/cgroup/system.slice --level x86-64-v2\n"
                "  cpulevel attach --tree $$ --level level.json --strict\n"
                "  cpulevel attach --tree $$ --inherit",
    .setup = setup,
});

}  // namespace

}  // namespace cpulevel::cli
