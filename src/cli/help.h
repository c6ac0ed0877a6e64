// `cpulevel COMMAND --help`: what it is for, its usage, its options, examples. Wrapped to the terminal.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "cli/command.h"

namespace cpulevel::cli {

// Of all commands: `cpulevel --help`.
[[nodiscard]] std::string overview();
// The application has been set up by the command.
[[nodiscard]] std::string help_text(const Command& command, const CLI::App& app);

}  // namespace cpulevel::cli
