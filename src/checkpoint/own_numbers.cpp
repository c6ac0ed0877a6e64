#include "checkpoint/own_numbers.h"

#include <fmt/format.h>

#include <unistd.h>

#include <array>
#include <filesystem>
#include <system_error>

#include "engine/ptrace/process_list.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

namespace ptrace = engine::ptrace;

std::string namespace_of(pid_t process) {
    std::error_code error;
    return std::filesystem::read_symlink(fmt::format("/proc/{}/ns/pid", process), error).string();
}

}  // namespace

pid_t own_number(pid_t process) {
    const auto status = read_file(fmt::format("/proc/{}/status", process));
    if (!status) return 0;
    for (const std::string_view line : split(*status, '\n')) {
        if (!line.starts_with("NSpid:")) continue;
        const auto number = parse_decimal(trim(line.substr(line.find_last_of("\t :") + 1)));
        return number && *number <= 0x7fffffffU ? static_cast<pid_t>(*number) : 0;
    }
    return process;  // a kernel without pid namespaces
}

pid_t in_namespace_of(pid_t peer, pid_t number) {
    const std::string wanted = namespace_of(peer);
    if (wanted.empty()) return 0;
    if (wanted == namespace_of(::getpid())) return number;
    for (const ptrace::ProcessParent& process : ptrace::all_processes()) {
        if (own_number(process.process) == number && namespace_of(process.process) == wanted) return process.process;
    }
    return 0;
}

std::map<pid_t, pid_t> by_own_number(pid_t root) {
    std::map<pid_t, pid_t> numbers;
    const std::array roots{root};
    for (const pid_t process : ptrace::family_of(roots, ptrace::all_processes())) {
        if (const pid_t own = own_number(process); own != 0) numbers.try_emplace(own, process);
    }
    return numbers;
}

}  // namespace cpulevel::checkpoint
