#include "cli/own_output.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "cli/view.h"

namespace cpulevel::cli {
namespace {

namespace fs = std::filesystem;
using FileIdentity = std::pair<dev_t, ino_t>;

std::optional<FileIdentity> identity_of(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino};
}

// Also where the file does not exist yet.
fs::path real_path(const std::string& path, std::error_code& error) {
    const fs::path absolute = fs::absolute(path, error);
    return error ? fs::path{} : fs::weakly_canonical(absolute, error);
}

bool is_file_name(const std::string& output) { return !output.empty() && output != "-"; }

// The folders that the file is in, from the nearest on, as long as what leads to it is not hidden from a reader of folders.
std::vector<fs::path> folders_above(const std::string& output) {
    std::error_code error;
    const fs::path real = real_path(output, error);
    if (error) return {};
    std::vector<fs::path> folders;
    for (fs::path at = real; at.has_relative_path() && !at.filename().string().starts_with('.');) {
        at = at.parent_path();
        folders.push_back(at);
    }
    return folders;
}

}  // namespace

Result<void> check_not_an_input(const std::string& output, const std::vector<std::string>& inputs) {
    if (!is_file_name(output)) return {};
    const auto own = identity_of(output);
    const std::vector<fs::path> folders = folders_above(output);
    for (const std::string& input : inputs) {
        const auto given = identity_of(input);
        if (!given) continue;
        if (own && *own == *given) {
            return usage_error("the output is also one of the inputs", safe(output), "it would be read as a node, and replaced",
                               "name another output, or leave this file out of the inputs");
        }
        for (const fs::path& folder : folders) {
            if (identity_of(folder.string()) != given) continue;
            return usage_error("the output lies in a folder of inputs", safe(output),
                               "whoever reads " + safe(input) + " next would take it for a node",
                               "write it to a place outside of that folder");
        }
    }
    return {};
}

Result<void> check_apart(const std::string& a, const std::string& b) {
    if (!is_file_name(a) || !is_file_name(b)) return {};
    std::error_code error, other;
    const auto same_file = identity_of(a);
    struct stat status{};
    if (::stat(a.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) return {};  // /dev/null takes everything
    const bool same = (same_file && same_file == identity_of(b)) ||
                      (real_path(a, error) == real_path(b, other) && !error && !other);
    if (!same) return {};
    return usage_error("two outputs would be one file", safe(a), {}, "give -o and --html different names");
}

}  // namespace cpulevel::cli
