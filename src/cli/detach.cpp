// `cpulevel detach`: ends what `attach` made.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/view.h"
#include "engine/bpf/attachments.h"

namespace cpulevel::cli {

namespace {

struct Options {
    std::string cgroup;
    std::uint64_t cgroup_id = 0;
    std::int64_t tree = 0;
    bool all = false;
    bool json = false;
};

Result<int> said(const Options& options, std::size_t count, const std::string& words) {
    const std::string text =
        options.json ? to_text({{"schema", "cpulevel/detach/1"}, {"detached", count}}) : words;
    tell_what_was_done(text);
    return 0;
}

Result<int> detach(const Options& options) {
    const int targets = (options.cgroup.empty() ? 0 : 1) + (options.cgroup_id == 0 ? 0 : 1) + (options.tree == 0 ? 0 : 1) + (options.all ? 1 : 0);
    if (targets != 1) return usage_error("one target is needed", {}, {}, "--cgroup FOLDER, --cgroup-id ID, --tree PID or --all");
    if (options.all) {
        const auto count = engine::bpf::detach_all();
        if (!count) return std::unexpected(count.error());
        return said(options, *count, fmt::format("Detached everything ({}).\n", plural(*count, "attachment")));
    }
    const auto done = !options.cgroup.empty()  ? engine::bpf::detach_cgroup(options.cgroup)
                      : options.cgroup_id != 0 ? engine::bpf::detach_cgroup_id(options.cgroup_id)
                                               : engine::bpf::detach_tree(static_cast<pid_t>(options.tree));
    if (!done) return std::unexpected(done.error());
    return said(options, 1, "Detached. Programs that run keep what they were told; those executed from now on are told the truth.\n");
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("--cgroup", options->cgroup, "The folder that was attached");
    app.add_option("--cgroup-id", options->cgroup_id, "Its number in cpulevel status, where the folder is gone");
    app.add_option("--tree", options->tree, "The process that was attached, or any in its tree")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{0x7fffffff}));
    app.add_flag("--all", options->all, "Everything; removes the BPF programs, also those of another version");
    app.add_flag("--json", options->json, "Print JSON");
    return [options](const Invocation&) { return detach(*options); };
}

const Registration kRegistration({
    .name = "detach",
    .order = 71,
    .summary = "End what attach made",
    .details = "With the last attachment the BPF programs are removed from the kernel.",
    .examples = "  cpulevel detach --cgroup /sys/fs/cgroup/system.slice\n"
                "  cpulevel detach --tree $$\n"
                "  cpulevel detach --all",
    .setup = setup,
});

}  // namespace

}  // namespace cpulevel::cli
