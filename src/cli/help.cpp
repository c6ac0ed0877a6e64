#include "cli/help.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/table.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

constexpr std::string_view kAbout =
    "Shows programs only the CPU features that all your machines have, so that what starts on one of them runs on "
    "any other.";

constexpr std::string_view kWorkflow =
    R"(The main job:
  cpulevel scan -o "$(hostname).json"            on each machine: describe its CPU
  cpulevel baseline nodes/ -o fleet.json         once: what they have in common
  cpulevel run --level fleet.json -- PROGRAM     on any of them: run under it

`cpulevel COMMAND --help` explains a command, with examples.
Exit status: 0 yes or done; 1 the answer is no; 2 wrong usage or unreadable
input; 3 this machine cannot do it. `run` passes on the status of its program.
)";

// "FILE..." or "[LEVEL]"
std::string usage_of(const CLI::Option& positional) {
    std::string text = positional.get_name();
    if (positional.get_items_expected_max() > 1) text += "...";
    return positional.get_required() ? text : "[" + text + "]";
}

// "-o, --output FILE"
std::string names_of(const CLI::Option& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.get_snames()) names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
    std::string text = join(names, ", ");
    if (option.get_items_expected_max() == 0) return text;
    std::string type = option.get_type_name();
    constexpr std::size_t longest = 48;  // "FORMAT {a,b,...}": a list that would push the texts off the terminal has a name
    if (const auto open = type.find('{'); open != std::string::npos) {
        const std::string list = type.substr(open + 1, type.find('}') - open - 1);
        const std::string name(trim(type.substr(0, open)));
        type = list.size() > longest && !name.empty() ? name : list;
    }
    for (char& c : type) {
        if (c == ',') c = '|';
    }
    return text + " " + type;
}

}  // namespace

std::string overview() {
    const Style style = Style::for_descriptor(STDOUT_FILENO);
    const std::size_t width = terminal_width(STDOUT_FILENO);
    Table names({"", ""});
    for (const Command& command : commands()) {
        if (!command.hidden) names.add_row({std::string(command.name), std::string(command.summary)});
    }
    Table options({"", ""});
    options.add_row({"-h, --help", "This text"});
    options.add_row({"--version", "The version"});
    return "Usage: cpulevel COMMAND [OPTION...] ...\n\n" + wrap(kAbout, width, 0) + "\n\nCommands:\n" +
           names.text(style, width) + "\nOptions:\n" + options.text(style, width) + "\n" + std::string(kWorkflow);
}

std::string help_text(const Command& command, const CLI::App& app) {
    const Style style = Style::for_descriptor(STDOUT_FILENO);
    const std::size_t width = terminal_width(STDOUT_FILENO);
    std::string usage = fmt::format("Usage: cpulevel {} [OPTION...]", command.name);
    Table positionals({"", ""});
    Table options({"", ""});
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_positional()) {
            usage += " " + usage_of(*option);
            positionals.add_row({option->get_name(), option->get_description()});
        } else {
            options.add_row({names_of(*option), option->get_description()});
        }
    }
    if (command.takes_program) usage += " [--] PROGRAM [ARGUMENT...]";
    std::string text = usage + "\n\n" + wrap(std::string(command.summary) + (std::string_view(command.summary).ends_with('?') ? "" : "."), width, 0) + "\n";
    for (const std::string_view paragraph : split(command.details, '\n')) {
        if (!paragraph.empty()) text += "\n" + wrap(paragraph, width, 0) + "\n";
    }
    if (!positionals.empty()) text += "\n" + positionals.text(style, width);
    text += "\nOptions:\n" + options.text(style, width);
    if (!command.examples.empty()) text += "\nExamples:\n" + std::string(command.examples);
    if (!text.ends_with('\n')) text += '\n';
    return text;
}

}  // namespace cpulevel::cli
