// `cpulevel status`: the levelled trees that run now.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/view.h"
#include "cli/view_attachments.h"
#include "engine/registry.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

constexpr int kNotLevelled = 1;

// What a person meets who debugs a levelled program, with the way out.
constexpr std::string_view kTracerNote =
    "gdb, strace and perf trace cannot attach to a process of a levelled tree (\"Operation not permitted\"): a process can have one "
    "tracer, and that is its supervisor. To debug the program, start it bare under the debugger, on a machine of that level.";

struct Options {
    std::int64_t pid = 0;
    bool json = false;
};

std::string duration(std::chrono::seconds age) {
    const auto seconds = age.count();
    if (seconds < 60) return fmt::format("{} s", seconds);
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

std::string processes(std::uint64_t count) { return fmt::format("{} process{}", count, count == 1 ? "" : "es"); }

nlohmann::json tree_json(const engine::TreeView& tree) {
    nlohmann::json json{{"supervisor", tree.supervisor},
                        {"owner", tree.owner},
                        {"level", tree.level},
                        {"engine", tree.engine},
                        {"cpuid", tree.cpuid_method},
                        {"command", tree.command},
                        {"age_seconds", tree.age.count()},
                        {"state", engine::name(tree.state)},
                        {"counts", {{"processes", tree.processes},
                                    {"threads", tree.threads},
                                    {"execs", tree.execs},
                                    {"uncovered_execs", tree.uncovered_execs},
                                    {"cpuid_traps", tree.cpuid_traps},
                                    {"cpuid_sites", tree.cpuid_sites},
                                    {"signals_passed", tree.signals_passed}}},
                        {"coverage", nlohmann::json::array()},
                        {"members", nlohmann::json::array()}};
    for (const engine::Channel& channel : tree.coverage) {
        json["coverage"].push_back(
            {{"channel", channel.name}, {"state", engine::name(channel.state)}, {"why", channel.why}});
    }
    for (const engine::TreeMember& member : engine::tree_members(tree)) {
        json["members"].push_back({{"pid", member.pid}, {"name", member.name}});
    }
    return json;
}

nlohmann::json list_json(const engine::TreeListing& listing) {
    nlohmann::json json{{"schema", "cpulevel/status/1"},
                        {"complete", listing.complete},
                        {"problems", listing.problems},
                        {"trees", nlohmann::json::array()}};
    for (const engine::TreeView& tree : listing.trees) json["trees"].push_back(tree_json(tree));
    return json;
}

std::string state_cell(engine::ChannelState state, const Style& style) {
    switch (state) {
        case engine::ChannelState::full: return style.good("full");
        case engine::ChannelState::partial: return style.caution("partial");
        case engine::ChannelState::none: return style.bad("none");
    }
    return "none";
}

std::string state_text(const engine::TreeView& tree) {
    switch (tree.state) {
        case engine::TreeState::levelling: return "levelled";
        case engine::TreeState::released: return "released: nobody enforces the level; cpulevel adopt does again";
        case engine::TreeState::released_stopped: return "released, and every process is stopped; cpulevel adopt continues it";
        case engine::TreeState::taking_up: return "is just being taken up";
    }
    return "unknown";
}

std::string tree_text(const engine::TreeView& tree, const View& view) {
    std::string text = heading(view, fmt::format("{} (supervisor {})", safe(tree.level), tree.supervisor));
    Table facts({"", ""});
    facts.add_row({"command", safe(tree.command)});
    facts.add_row({"engine", fmt::format("{}; CPUID by {}", safe(tree.engine), safe(tree.cpuid_method))});
    facts.add_row({"running", fmt::format("{}, of user {}", duration(tree.age), tree.owner)});
    if (tree.state != engine::TreeState::levelling) facts.add_row({"state", view.style.caution(state_text(tree))});
    facts.add_row({"now", fmt::format("{}, {}", processes(tree.processes), plural(tree.threads, "thread"))});
    facts.add_row({"so far", fmt::format("{}, {} answered by a stop, {} changed to need none, {} passed on",
                                         plural(tree.execs, "exec"), plural(tree.cpuid_traps, "CPUID instruction"),
                                         tree.cpuid_sites, plural(tree.signals_passed, "signal"))});
    if (tree.uncovered_execs != 0) {
        facts.add_row({"not covered", view.style.bad(plural(tree.uncovered_execs, "program"))});
    }
    text += facts.text(view.style, view.width);
    if (!tree.coverage.empty()) {
        Table coverage({"covered", "channel", "why not"});
        for (const engine::Channel& channel : tree.coverage) {
            coverage.add_row({state_cell(channel.state, view.style), safe(channel.name), safe(channel.why)});
        }
        text += "\n" + coverage.text(view.style, view.width);
    }
    return text;
}

std::string members_text(const engine::TreeView& tree, const View& view) {
    Table table({"pid", "name"});
    table.align(0, Align::right);
    for (const engine::TreeMember& member : engine::tree_members(tree)) {
        table.add_row({std::to_string(member.pid), safe(member.name)});
    }
    return table.empty() ? std::string() : "\n" + table.text(view.style, view.width);
}

Result<int> print(const std::string& text, int status) {
    if (auto written = write_standard_output(text); !written) return std::unexpected(written.error());
    return status;
}

Result<int> status_of(pid_t pid, bool json) {
    const auto tree = engine::find_tree(pid);
    if (!tree) return std::unexpected(tree.error());
    if (!*tree) {
        const pid_t tracer = engine::tracer_of(pid).value_or(0);
        if (json) return print(to_text({{"schema", "cpulevel/status/1"}, {"pid", pid}, {"trees", nlohmann::json::array()}}), kNotLevelled);
        std::string text = fmt::format("Process {} is in no levelled tree that this user can see.", pid);
        if (tracer != 0) text += fmt::format(" Process {} traces it, and has no record that this user can read.", tracer);
        if (::geteuid() != 0) text += " Root sees the trees of all users.";
        return print(wrap(text, View::of_standard_output(false).width, 0) + "\n", kNotLevelled);
    }
    if (json) {
        return print(to_text({{"schema", "cpulevel/status/1"}, {"pid", pid}, {"trees", nlohmann::json::array({tree_json(**tree)})}}), 0);
    }
    const View view = View::of_standard_output(false);
    return print(tree_text(**tree, view) + members_text(**tree, view) + "\n" + wrap(kTracerNote, view.width, 0) + "\n", 0);
}

Result<int> status(const Options& options) {
    if (options.pid != 0) return status_of(static_cast<pid_t>(options.pid), options.json);
    engine::TreeListing listing = engine::list_trees();
    const auto attached = engine::bpf::overview();
    if (!attached) listing.problems.push_back(attached.error().message());
    const bool any_attached = attached && *attached;
    if (options.json) {
        nlohmann::json json = list_json(listing);
        if (any_attached) json["bpf"] = attachments_json(**attached);
        return print(to_text(json), 0);
    }
    const View view = View::of_standard_output(false);
    std::string text;
    for (const engine::TreeView& tree : listing.trees) text += (text.empty() ? "" : "\n") + tree_text(tree, view);
    if (listing.trees.empty() && !any_attached) text += listing.complete ? "No levelled tree is running.\n" : "No levelled tree of this user is running.\n";
    if (!listing.trees.empty()) text += "\n" + wrap(kTracerNote, view.width, 0) + "\n";
    if (!listing.complete && !listing.trees.empty()) text += "Only this user's trees are shown; root sees all.\n";
    if (any_attached) text += (listing.trees.empty() ? "" : "\n") + attachments_text(**attached, view);
    for (const std::string& problem : listing.problems) print_warning("not shown: " + safe(problem));
    return print(text, 0);
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("PID", options->pid, "A supervisor, or a process of a tree")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{0x7fffffff}));
    app.add_flag("--json", options->json, "Print JSON instead of tables");
    return [options](const Invocation&) { return status(*options); };
}

const Registration kRegistration(
    {.name = "status",
     .order = 80,
     .summary = "Show the levelled trees that run now, or the one that a process is in",
     .details = "Level, engine, processes and coverage of each tree of this user; as root, of all users. With PID, exit status "
                "1 says that the process is in no levelled tree.",
     .examples = "  cpulevel status\n"
                 "  cpulevel status $$          is this shell levelled?\n"
                 "  cpulevel status --json | jq '.trees[].level'\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
