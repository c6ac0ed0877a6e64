#include "cli/command.h"

#include <CLI/Config.hpp>  // App.hpp needs both, and only declares them
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "cli/files.h"
#include "cli/help.h"
#include "cli/output.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

std::vector<Command>& registry() {
    static std::vector<Command> all;  // built on first use: registrations run before main, in no particular order
    return all;
}

std::string with_help(std::string hint, std::string_view command) {
    const std::string help = command.empty() ? "cpulevel --help" : "cpulevel " + std::string(command) + " --help";
    return hint.empty() ? "`" + help + "` explains the usage" : hint + "  (`" + help + "` explains the usage)";
}

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
        for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
    return names;
}

Error unknown_command(const std::string& word) {
    std::vector<std::string> names;
    for (const Command& command : commands()) {
        if (!command.hidden) names.emplace_back(command.name);
    }
    return usage_error("unknown command", printable(word), {}, with_help(did_you_mean(word, names), {})).error();
}

// CLI11 says "the following arguments were not expected: ..."; we name the first and the nearest that exists.
Error explain(const CLI::ParseError& error, const CLI::App& app, const Command* command) {
    const std::string_view name = command == nullptr ? std::string_view{} : command->name;
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        std::vector<std::string> extras = app.remaining(true);
        std::erase(extras, "--");
        const std::string word = extras.empty() ? std::string{} : extras.front();
        if (word.starts_with('-') && word != "-") {
            const std::string option = word.substr(0, word.find('='));
            return usage_error("unknown option", printable(option), {},
                               with_help(did_you_mean(option, option_names(app)), name))
                .error();
        }
        return usage_error("unexpected argument", printable(word), {}, with_help({}, name)).error();
    }
    return usage_error(printable(error.what(), 400), {}, {}, with_help({}, name)).error();
}

// How many of the words belong to the command; the rest is the program. An option that takes a value takes the next
// word.
std::size_t words_before_program(const CLI::App& app, const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "--" || !word.starts_with('-') || word == "-") return i;
        if (word.find('=') != std::string::npos) continue;
        const CLI::Option* option = app.get_option_no_throw(word.starts_with("--") ? word : word.substr(0, 2));
        const bool value_is_next =
            option != nullptr && option->get_items_expected_max() > 0 && (word.starts_with("--") || word.size() == 2);
        if (value_is_next) ++i;
    }
    return words.size();
}

Invocation split_off_program(const CLI::App& app, std::vector<std::string>& words) {
    const std::size_t own = std::min(words_before_program(app, words), words.size());
    auto first = words.begin() + static_cast<std::ptrdiff_t>(own);
    Invocation invocation;
    if (first != words.end() && *first == "--") {
        invocation.program.assign(first + 1, words.end());
    } else {
        invocation.program.assign(first, words.end());
    }
    words.resize(own);
    return invocation;
}

void parse(CLI::App& app, std::vector<std::string> words) {
    std::ranges::reverse(words);  // CLI11 takes them from the back
    app.parse(words);
}

int fail(const Error& error, const Command* command) {
    print_error(error);
    if (command != nullptr && command->failure_status != 0) return command->failure_status;
    return exit_code(error.kind);
}

int print(const std::string& text, const Command* command) {
    if (const auto written = write_standard_output(text); !written) return fail(written.error(), command);
    return 0;
}

int run_command(const Command& command, std::vector<std::string> words) {
    CLI::App app;
    const Action action = set_up(command, app);
    Invocation invocation;
    if (command.takes_program) invocation = split_off_program(app, words);
    try {
        parse(app, std::move(words));
    } catch (const CLI::CallForHelp&) {
        return print(help_text(command, app), &command);
    } catch (const CLI::ParseError& error) {
        return fail(explain(error, app, &command), &command);
    }
    const Result<int> status = action(invocation);
    return status ? *status : fail(status.error(), &command);
}

}  // namespace

Registration::Registration(const Command& command) { registry().push_back(command); }

std::vector<Command> commands() {
    std::vector<Command> all = registry();
    std::ranges::sort(all, {}, [](const Command& command) { return std::pair(command.order, command.name); });
    return all;
}

Action set_up(const Command& command, CLI::App& app) {
    app.name("cpulevel " + std::string(command.name));
    app.set_help_flag("-h,--help", "This text");
    return command.setup(app);
}

int main_with(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        // CRIU calls its action scripts by their path alone.
        if (std::getenv("CRTOOLS_SCRIPT_ACTION") != nullptr) return main_with({"criu-action"});
        return fail(usage_error("no command given", {}, {}, with_help({}, {})).error(), nullptr);
    }
    const std::string& first = arguments.front();
    std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
    if (first == "--version") return print("cpulevel " CPULEVEL_VERSION "\n", nullptr);
    if (first == "-h" || first == "--help" || (first == "help" && rest.empty())) return print(overview(), nullptr);
    if (first == "help") return main_with({rest.front(), "--help"});
    if (first.starts_with('-')) {
        return fail(usage_error("unknown option", printable(first), {},
                                with_help(did_you_mean(first, {"--help", "--version"}), {}))
                        .error(),
                    nullptr);
    }
    for (const Command& command : commands()) {
        if (command.name == first) return run_command(command, std::move(rest));
    }
    return fail(unknown_command(first), nullptr);
}

}  // namespace cpulevel::cli
