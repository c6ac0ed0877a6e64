// A command is one file: it defines a Command and registers it, and needs to be named nowhere else.
//
//     namespace {
//     Action setup(CLI::App& app) {
//         auto options = std::make_shared<Options>();
//         app.add_option("FILE", options->file, "A profile")->required();
//         return [options](const Invocation&) -> Result<int> { ... return 0; };
//     }
//     const Registration kRegistration({.name = "show", .order = 40, .summary = "...", .examples = "...", .setup =
//     setup});
//     }
//
// A command parses, calls the library and prints; the logic is in the library. It writes through cli/output.h, and
// hands an Error back: main prints it with its hint and turns its kind into the exit status.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.h"

namespace cpulevel::cli {

struct Invocation {
    // What follows the options of a command with takes_program: the program and its arguments; may be empty.
    std::vector<std::string> program;
};

// Does the work; the value is the exit status (0 yes or done, 1 the answer is no).
using Action = std::function<Result<int>(const Invocation&)>;

struct Command {
    std::string_view name;
    int order = 100;            // the place in `cpulevel --help`: scan 10, import 20, baseline 30, ...
    std::string_view summary;   // one line
    std::string_view details;   // a paragraph for `cpulevel NAME --help`; may be empty
    std::string_view examples;  // the end of `cpulevel NAME --help`; lines, indented by two
    // The rest of the line, from the first word that is no option (or from "--"), is a program and is not parsed.
    bool takes_program = false;
    int failure_status = 0;  // exit status for wrong usage and errors, where it is not the one of the error's kind
    bool hidden = false;     // not in `cpulevel --help`
    Action (*setup)(CLI::App& app) = nullptr;  // adds the options; called once, before parsing
};

class Registration {
   public:
    explicit Registration(const Command& command);
};

// All registered commands, in order of `order`, then name.
[[nodiscard]] std::vector<Command> commands();

// Gives the application its name, texts and the command's options.
[[nodiscard]] Action set_up(const Command& command, CLI::App& app);

// The whole of main(): parses, runs, prints errors; gives the exit status.
[[nodiscard]] int main_with(const std::vector<std::string>& arguments);

}  // namespace cpulevel::cli
