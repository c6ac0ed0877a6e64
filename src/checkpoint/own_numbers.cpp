#include "checkpoint/own_numbers.h"

#include <fmt/format.h>

#include <array>

#include "engine/ptrace/process_list.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace ptrace = engine::ptrace;

pid_t own_number(pid_t process) {
    const auto status = read_file(fmt::format("/proc/{}/status", process));
    if (!status) return 0;
    const std::string_view own = last_word(status_field(*status, "NSpid"));
    const auto number = parse_decimal(own);
    if (!own.empty()) return number && *number <= 0x7fffffffU ? static_cast<pid_t>(*number) : 0;
    return process;  // a kernel without pid namespaces
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
