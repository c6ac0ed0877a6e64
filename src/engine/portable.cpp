#include "engine/portable.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <stdlib.h>  // setenv
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "arch/feature.h"
#include "level/export/export.h"
#include "level/named.h"
#include "profile/native.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::engine {

namespace {

constexpr const char* kTunables = "GLIBC_TUNABLES";
constexpr const char* kUsers = "CPULEVEL_USERS_TUNABLES";  // what the user had there: '=' and the value, or nothing

// That the glibc in this executable do without what the first x86-64 lacks; empty where that cannot be told.
std::string baseline() {
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    const arch::NamedLevel* const first = table.find_level("x86-64");
    if (first == nullptr) return {};
    level::ExportOptions options;
    if (const auto version = level::parse_version(::gnu_get_libc_version())) options.versions["glibc"] = *version;
    const auto level = level::level_of(table, std::string(first->name), level::features_of(table, *first), {});
    if (!level) return {};
    const auto exported = level::export_level(*level, "glibc", options);
    if (!exported || exported->environment.empty()) return {};
    return exported->environment.front().value;
}

std::vector<std::string> own_words() {
    std::vector<std::string> words;
    const auto text = read_file("/proc/self/cmdline");
    if (!text) return words;
    for (const std::string_view word : split(*text, '\0')) words.emplace_back(word);
    if (!words.empty()) words.pop_back();  // behind the last NUL
    return words;
}

void put_users_tunables_back(std::string_view users) {
    ::unsetenv(kTunables);
    if (users.starts_with('=')) ::setenv(kTunables, std::string(users.substr(1)).c_str(), 1);
    ::unsetenv(kUsers);
}

}  // namespace

void run_portably() {
    if (!profile::native::has_cpuid()) return;
    if (const char* const users = std::getenv(kUsers); users != nullptr) {
        put_users_tunables_back(std::string(users));
        return;
    }
    const std::string tunables = baseline();
    std::vector<std::string> words = own_words();
    std::error_code error;
    const std::string path = std::filesystem::read_symlink("/proc/self/exe", error).string();
    if (words.empty() || error || tunables.empty()) return;
    const char* const users = std::getenv(kTunables);
    const std::string kept = users == nullptr ? std::string{} : "=" + std::string(users);
    if (::setenv(kUsers, kept.c_str(), 1) != 0 || ::setenv(kTunables, tunables.c_str(), 1) != 0) return;
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    ::execv(path.c_str(), pointers.data());
    put_users_tunables_back(kept);
}

// What it was executed with stays in its memory whatever it does to its environment afterwards.
bool runs_portably(pid_t process) {
    const auto environment = read_file(fmt::format("/proc/{}/environ", process));
    if (!environment) return false;
    const std::string wanted = fmt::format("{}={}", kTunables, baseline());
    for (const std::string_view word : split(*environment, '\0')) {
        if (word == wanted) return true;
    }
    return false;
}

}  // namespace cpulevel::engine
