// What `dump` and `restore` share: the options that are CRIU's, progress, and how a tree under its level is told.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "checkpoint/dump.h"

namespace cpulevel::cli {

void add_criu_options(CLI::App& app, checkpoint::CriuSetup& setup);

// The path of this executable: CRIU's action script.
[[nodiscard]] std::string own_path();

// A folder of images as the user named it, from the root on: CRIU has a working directory of its own.
[[nodiscard]] Result<std::string> images_folder(const std::string& named);

// A line for each step on standard error, where that is a terminal.
[[nodiscard]] checkpoint::Progress progress_on_terminal();

[[nodiscard]] nlohmann::json tree_json(const checkpoint::LevelledTree& tree);

}  // namespace cpulevel::cli
