#include "engine/ptrace/process_list.h"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "engine/ptrace/proc_stat.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

std::vector<pid_t> numbers_in(const std::string& folder) {
    struct Close {
        void operator()(DIR* directory) const { ::closedir(directory); }
    };
    std::vector<pid_t> numbers;
    const std::unique_ptr<DIR, Close> listing(::opendir(folder.c_str()));
    if (!listing) return numbers;
    while (const dirent* entry = ::readdir(listing.get())) {
        if (const auto number = parse_decimal(entry->d_name); number && *number != 0 && *number <= 0x7fffffffU) {
            numbers.push_back(static_cast<pid_t>(*number));
        }
    }
    std::ranges::sort(numbers);
    return numbers;
}

}  // namespace

std::vector<ProcessParent> all_processes() {
    std::vector<ProcessParent> all;
    for (const pid_t process : numbers_in("/proc")) {
        const auto stat = read_proc_stat(process);
        if (!stat || stat->state == 'X') continue;
        // A leader that has ended before its other threads looks like a zombie; its process lives.
        if (stat->state == 'Z' && threads_of(process).size() < 2) continue;
        all.push_back({process, stat->parent});
    }
    return all;
}

std::vector<pid_t> threads_of(pid_t process) { return numbers_in(fmt::format("/proc/{}/task", process)); }

bool share_memory(pid_t one, pid_t other) { return ::syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0; }

bool frozen_by_cgroup_v1(pid_t process) {
    const auto text = read_file(fmt::format("/proc/{}/cgroup", process));
    if (!text) return false;
    for (const std::string_view line : split(*text, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() != 3 || fields[1] != "freezer") continue;
        const auto state = read_file(fmt::format("/sys/fs/cgroup/freezer{}/freezer.state", fields[2]));
        return state && trim(*state) != "THAWED";
    }
    return false;
}

}  // namespace cpulevel::engine::ptrace
