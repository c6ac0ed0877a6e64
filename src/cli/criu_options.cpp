#include "cli/criu_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/engine.h"

namespace cpulevel::cli {

void add_criu_options(CLI::App& app, checkpoint::CriuSetup& setup) {
    app.add_option("--criu", setup.program, "The CRIU to use; else the one in $PATH")->type_name("PATH");
    app.add_flag("--shell-job", setup.wanted.shell_job,
                 "It belongs to a terminal's session (found out by itself at the dump)");
    app.add_flag("--tcp-established", setup.wanted.tcp_established, "Carry open TCP connections");
    app.add_flag("--file-locks", setup.wanted.file_locks, "Carry locks on files");
    app.add_flag("--ext-unix-sk", setup.wanted.external_unix, "Carry Unix sockets whose other end stays behind");
    app.add_option("--criu-option", setup.options,
                   "Any other option of CRIU (--criu-option=--link-remap); can be repeated")
        ->type_name("OPTION")
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

std::string own_path() {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

Result<std::string> images_folder(const std::string& named) {
    if (named.empty()) return usage_error("the name of the folder for the images is empty");
    std::error_code error;
    std::string folder = std::filesystem::absolute(named, error).lexically_normal().string();
    if (error) return usage_error("cannot tell where this folder is", named, error.message());
    return folder;
}

checkpoint::Progress progress_on_terminal() {
    if (::isatty(STDERR_FILENO) == 0) return {};
    return [](const std::string& step) { fmt::print(stderr, "{} ...\n", step); };
}

nlohmann::json tree_json(const checkpoint::LevelledTree& tree) {
    return {{"root", tree.root},
            {"level", tree.level.name},
            {"processes", tree.processes},
            {"threads", tree.threads},
            {"supervisor_inside", tree.supervisor != 0}};
}

}  // namespace cpulevel::cli
