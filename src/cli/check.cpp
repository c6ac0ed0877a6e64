// `cpulevel check`: what works on this machine.
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/view.h"
#include "engine/capabilities.h"

namespace cpulevel::cli {

namespace {

constexpr int kSomethingMissing = 3;

struct Options {
    bool json = false;
    bool no_criu = false;
};

std::vector<std::string> lacking(const engine::CheckReport& report) {
    std::vector<std::string> ids;
    for (const engine::Capability& capability : report.capabilities) {
        if (capability.need != engine::Need::nothing && capability.works != engine::Works::yes) {
            ids.push_back(capability.id);
        }
    }
    return ids;
}

std::string as_json(const engine::CheckReport& report) {
    nlohmann::json json{{"schema", "cpulevel/check/1"},
                        {"kernel", report.kernel},
                        {"machine", report.machine},
                        {"run", {{"starts", report.run_starts()},
                                 {"covers_everything", report.run_covers_everything()},
                                 {"lacking", lacking(report)}}},
                        {"capabilities", nlohmann::json::array()}};
    for (const engine::Capability& capability : report.capabilities) {
        json["capabilities"].push_back({{"id", capability.id},
                                        {"title", capability.title},
                                        {"works", engine::name(capability.works)},
                                        {"run_needs_it_for", engine::name(capability.need)},
                                        {"gives", capability.gives},
                                        {"missing", capability.missing},
                                        {"detail", capability.detail}});
    }
    return to_text(json);
}

std::string works_cell(engine::Works works, const Style& style) {
    switch (works) {
        case engine::Works::yes: return style.good("yes");
        case engine::Works::partial: return style.caution("partial");
        case engine::Works::no: return style.bad("no");
    }
    return "no";
}

std::string verdict(const engine::CheckReport& report) {
    if (report.run_covers_everything()) return "`cpulevel run` starts here and covers every channel.";
    std::string names;
    for (const std::string& id : lacking(report)) {
        names += (names.empty() ? "" : ", ") + report.find(id)->title;
    }
    if (!report.run_starts()) return "`cpulevel run` cannot start a program here. Missing: " + names + ".";
    return "`cpulevel run` starts here, but not every channel is fully covered, and `run --require-full` refuses. "
           "Missing: " + names + ".";
}

std::string as_text(const engine::CheckReport& report, const View& view) {
    Table table({"works", "what", "what it gives, what was seen, what is missing"});
    for (const engine::Capability& capability : report.capabilities) {
        table.add_row({works_cell(capability.works, view.style), capability.title, capability.gives});
        if (!capability.detail.empty()) table.add_row({"", "", "seen: " + safe(capability.detail)});
        if (!capability.missing.empty()) table.add_row({"", "", "missing: " + safe(capability.missing)});
    }
    std::string text = heading(view, "Linux " + safe(report.kernel) + " on " + safe(report.machine)) +
                       table.text(view.style, view.width) + "\n";
    return text + wrap(verdict(report), view.width, 0) + "\n";
}

Result<int> check(const Options& options) {
    const engine::CheckReport report = engine::check_machine({.root = {}, .run_criu = !options.no_criu});
    const std::string text = options.json ? as_json(report) : as_text(report, View::of_standard_output(false));
    if (auto written = write_standard_output(text); !written) return std::unexpected(written.error());
    return report.run_covers_everything() ? 0 : kSomethingMissing;
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_flag("--json", options->json, "Print JSON instead of a table");
    app.add_flag("--no-criu", options->no_criu, "Do not start `criu check` where CRIU is installed");
    return [options](const Invocation&) { return check(*options); };
}

const Registration kRegistration(
    {.name = "check",
     .order = 90,
     .summary = "Find out by doing what works on this machine",
     .details = "Each line was tried just now, in a child process; nothing is concluded from a version number. Exit "
                "status 0: `run` can cover everything here; 3: something that it needs is missing.",
     .examples = "  cpulevel check\n"
                 "  cpulevel check --json | jq .run\n"
                 "  cpulevel check >/dev/null && echo 'run covers everything here'\n",
     .setup = setup});

}  // namespace

}  // namespace cpulevel::cli
