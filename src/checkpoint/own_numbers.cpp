#include "checkpoint/own_numbers.h"

#include <fmt/format.h>

#include <array>

#include "engine/process_family.h"
#include "engine/ptrace/process_list.h"
#include "util/file.h"

namespace cpulevel::checkpoint {

namespace ptrace = engine::ptrace;

pid_t own_number(pid_t process) {
    const auto status = read_file(fmt::format("/proc/{}/status", process));
    return status ? engine::own_number(*status, process) : 0;
}

std::map<pid_t, pid_t> by_own_number(pid_t root) {
    std::map<pid_t, pid_t> numbers;
    const std::array roots{root};
    for (const pid_t process : engine::family_of(roots, ptrace::all_processes())) {
        if (const pid_t own = own_number(process); own != 0) numbers.try_emplace(own, process);
    }
    return numbers;
}

}  // namespace cpulevel::checkpoint
