#include "engine/bpf/kernel_side.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "engine/bpf/pins.h"
#include "engine/bpf/refusal.h"
#include "engine/bpf/scope.h"
#include "engine/probe/probes.h"

#if CPULEVEL_BPF
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <memory>

// The compiled kernel side, as it came from the compiler. The names are global: for local ones, a linker for arm64 makes one
// entry of the offset table for both.
asm(".section .rodata\n"
    ".global cpulevel_bpf_object\n"
    ".global cpulevel_bpf_object_end\n"
    ".hidden cpulevel_bpf_object\n"
    ".hidden cpulevel_bpf_object_end\n"
    ".balign 8\n"
    "cpulevel_bpf_object:\n"
    ".incbin \"" CPULEVEL_BPF_OBJECT "\"\n"
    "cpulevel_bpf_object_end:\n"
    ".balign 8\n"
    ".previous\n");
extern "C" __attribute__((visibility("hidden"))) const char cpulevel_bpf_object[];
extern "C" __attribute__((visibility("hidden"))) const char cpulevel_bpf_object_end[];
#endif

namespace cpulevel::engine::bpf {

namespace {

bool is_attached(const char* program) { return ::access((std::string(kPinned) + "/links/" + program).c_str(), F_OK) == 0; }

}  // namespace

Coverage coverage() {
    const bool marks = is_attached("on_prctl") && is_attached("after_prctl") && is_attached("on_leave_image");
    const bool readers = is_attached("on_read") && is_attached("after_read");
    Coverage coverage;
    coverage.push_back({"auxiliary vector on the stack", ChannelState::full, ""});
    coverage.push_back(
        {"/proc/PID/auxv, PR_GET_AUXV", readers ? ChannelState::partial : ChannelState::none,
         readers ? "BPF cannot change what the kernel keeps: who reads it is given a corrected copy, except in core dumps and for a "
                   "moment before the read returns"
                 : "BPF cannot change what the kernel keeps, and reads of it cannot be seen here (no kprobe on auxv_read)"});
    coverage.push_back({"vectors that programs set by prctl", marks ? ChannelState::full : ChannelState::none,
                        marks ? "" : "no kprobes on prctl and exec_mm_release here: what a program sets is not inherited"});
    if constexpr (kOwnArchitecture == arch::Architecture::x86_64) {
        coverage.push_back({"CPUID", ChannelState::none,
                            "BPF cannot answer instructions: programs that ask the CPU by themselves see all of it; "
                            "`cpulevel run` covers it"});
    } else {
        coverage.push_back({"ID registers", ChannelState::none, "BPF cannot answer instructions; hide HWCAP_CPUID so that programs do not ask"});
    }
    return coverage;
}

#if CPULEVEL_BPF

namespace {

std::string log_text;  // libbpf's callback has no argument of ours

int collect(libbpf_print_level, const char* format, va_list arguments) {
    std::array<char, 4096> line{};
    const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
    if (length > 0) log_text.append(line.data(), std::min(static_cast<std::size_t>(length), line.size() - 1));
    return length;
}

struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Object = std::unique_ptr<bpf_object, Close>;
using Link = std::unique_ptr<bpf_link, Close>;

std::unexpected<Error> refused(std::string step, int error) {
    return std::unexpected(refusal({.bpf = probe::bpf(""), .errno_value = error, .step = std::move(step), .log = log_text}));
}

// The core: without these there is no engine. The others attach to functions that a kernel may lack (kprobes off,
// no 32-bit programs); coverage() tells what is lost then.
bool is_required(std::string_view program) {
    return program == "on_exec" || program == "on_fork" || program == "on_exit";
}

Result<Object> load() {
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = "cpulevel";
    Object object(bpf_object__open_mem(cpulevel_bpf_object,
                                       static_cast<std::size_t>(cpulevel_bpf_object_end - cpulevel_bpf_object), &options));
    if (!object) return refused("read its own programs", errno);
    bpf_map* constants = bpf_object__find_map_by_name(object.get(), ".rodata");
    const auto security = security_words(kOwnArchitecture);  // the only constant there
    if (constants == nullptr || bpf_map__set_initial_value(constants, security.data(), sizeof security) != 0) {
        return refused("set the constants of its programs", EINVAL);
    }
    const int error = bpf_object__load(object.get());
    if (error != 0) return refused("load its programs into the kernel", -error);
    return object;
}

Result<void> attach_and_pin(bpf_object* object, const std::string& folder) {
    std::map<std::string, Link> links;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        const std::string name = bpf_program__name(program);
        if (bpf_program__type(program) == BPF_PROG_TYPE_UNSPEC) continue;
        Link link(bpf_program__attach(program));
        if (!link) {
            if (is_required(name)) return refused("attach its program " + name, errno);
            continue;
        }
        links.emplace(name, std::move(link));
    }
    // Half of a pair would wait for an end that is never seen.
    for (const auto& [begin, end] : {std::pair{"on_prctl", "after_prctl"}, {"on_prctl_32", "after_prctl_32"}, {"on_read", "after_read"}}) {
        if (links.contains(begin) && links.contains(end)) continue;
        links.erase(begin);
        links.erase(end);
    }
    for (const auto& [name, link] : links) {
        const int error = bpf_link__pin(link.get(), (folder + "/links/" + name).c_str());
        if (error != 0) return refused("pin its program " + name, -error);
    }
    for (const char* name : {"scopes", "trees", "members", "images", "counters", "failures", "config"}) {
        bpf_map* map = bpf_object__find_map_by_name(object, name);
        const int error = map == nullptr ? -ENOENT : bpf_map__pin(map, (folder + "/maps/" + name).c_str());
        if (error != 0) return refused(std::string("pin its map ") + name, -error);
    }
    const __u32 zero = 0;
    const cpulevel_config config{.layout = CPULEVEL_LAYOUT, .break_writes = 0};
    const int settings = bpf_object__find_map_fd_by_name(object, "config");
    if (bpf_map_update_elem(settings, &zero, &config, BPF_ANY) != 0) return refused("set its configuration", errno);
    return {};
}

}  // namespace

Result<void> install() {
    log_text.clear();
    libbpf_set_print(collect);
    if (auto removed = remove_pins(kUnfinished); !removed) return removed;  // of an attach that was killed
    auto object = load();
    if (!object) return std::unexpected(object.error());
    for (const char* folder : {"", "/maps", "/links"}) {
        const std::string path = std::string(kUnfinished) + folder;
        if (::mkdir(path.c_str(), 0700) != 0) return system_error(ErrorKind::machine, "cannot make a folder for pins", path, "root can");
    }
    auto pinned = attach_and_pin(object->get(), kUnfinished);
    if (pinned && ::rename(kUnfinished, kPinned) != 0) {
        pinned = system_error(ErrorKind::machine, "cannot put the pins in place", kPinned);
    }
    if (!pinned) {
        if (auto removed = remove_pins(kUnfinished); !removed) return removed;
    }
    return pinned;
}

std::vector<ProgramCost> costs() {
    std::vector<ProgramCost> costs;
    std::error_code failed;
    for (const auto& pin : std::filesystem::directory_iterator(std::string(kPinned) + "/links", failed)) {
        const Fd link(bpf_obj_get(pin.path().c_str()));
        bpf_link_info info{};
        __u32 size = sizeof info;
        if (!link.valid() || bpf_obj_get_info_by_fd(link.get(), &info, &size) != 0) continue;
        const Fd program(bpf_prog_get_fd_by_id(info.prog_id));
        bpf_prog_info statistics{};
        size = sizeof statistics;
        if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &statistics, &size) != 0) continue;
        costs.push_back({.name = pin.path().filename(), .runs = statistics.run_cnt, .nanoseconds = statistics.run_time_ns});
    }
    std::ranges::sort(costs, {}, &ProgramCost::name);
    return costs;
}

#else

Result<void> install() { return std::unexpected(built_without()); }
std::vector<ProgramCost> costs() { return {}; }

#endif

}  // namespace cpulevel::engine::bpf
