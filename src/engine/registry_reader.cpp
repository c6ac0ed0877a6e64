// The reading half. What it reads belongs to other processes, and as root to other users: nothing of it is believed
// before it was checked, and nothing that they do to it can stop or harm the reader.
//
// - The link in /proc/PID/fd is opened without opening what it leads to (O_PATH); only a regular file with the
//   seals of a record is then opened for reading. A pipe or a device of the same name is never touched.
// - It is read by pread(), not mapped: no SIGBUS.
// - The record names its process; a copy of the descriptor in a child that has not yet called exec is skipped.
// - /proc/PID is held open as a directory: if the process ends, reads fail, they never turn to a new process
//   with the same number.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <span>

#include "engine/process_family.h"
#include "engine/registry.h"
#include "engine/registry_layout.h"
#include "util/file.h"
#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine {

namespace {

constexpr std::size_t kMaximumDescriptors = 4096;  // of one process that are looked at: a record is an early one

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::optional<std::string> read_at(int directory, const char* name, std::size_t limit = 65536) {
    const Fd file(::openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.valid()) return std::nullopt;
    std::string content;
    std::array<char, 4096> buffer;
    while (content.size() < limit) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) break;
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return content;
}

std::optional<pid_t> to_pid(std::string_view text) {
    const auto value = parse_decimal(text);
    if (!value || *value > 0x7fffffffU) return std::nullopt;
    return static_cast<pid_t>(*value);
}

// Field 22 of /proc/PID/stat in ticks after the boot; fields are counted behind the last ')', since a name may hold both.
std::optional<std::uint64_t> start_ticks(std::string_view stat) {
    const auto close = stat.rfind(')');
    if (close == std::string_view::npos || close + 2 > stat.size()) return std::nullopt;
    const auto fields = split(stat.substr(close + 2), ' ');
    constexpr std::size_t index = 22 - 3;
    if (fields.size() <= index) return std::nullopt;
    return parse_decimal(trim(fields[index]));
}

std::chrono::seconds age_of(int process, const std::string& proc) {
    const auto stat = read_at(process, "stat");
    const auto ticks = stat ? start_ticks(*stat) : std::nullopt;
    std::ifstream uptime_file(proc + "/uptime");
    double uptime = 0;
    const long per_second = ::sysconf(_SC_CLK_TCK);
    if (!ticks || !(uptime_file >> uptime) || per_second <= 0) return std::chrono::seconds{0};
    const double age = uptime - static_cast<double>(*ticks) / static_cast<double>(per_second);
    return std::chrono::seconds{age > 0 ? static_cast<std::int64_t>(age) : 0};
}

template <std::size_t size>
std::optional<std::string> text_of(const std::array<char, size>& field) {
    const auto end = std::ranges::find(field, '\0');
    if (end == field.end()) return std::nullopt;
    return std::string(field.begin(), end);
}

std::optional<Coverage> parse_coverage(std::string_view text) {
    Coverage coverage;
    for (const std::string_view line : split(text, '\n')) {
        if (line.empty()) continue;
        const auto fields = split(line, '\t');
        if (fields.size() != 3) return std::nullopt;
        Channel channel;
        if (fields[0] == name(ChannelState::full)) {
            channel.state = ChannelState::full;
        } else if (fields[0] == name(ChannelState::partial)) {
            channel.state = ChannelState::partial;
        } else if (fields[0] != name(ChannelState::none)) {
            return std::nullopt;
        }
        channel.name = fields[1];
        channel.why = fields[2];
        coverage.push_back(std::move(channel));
    }
    return coverage;
}

enum class Found { no, record, problem };

struct Reading {
    Found found = Found::no;
    TreeView view;
    std::string problem;
    Fd file;  // the record, for reading
};

Reading not_believed(std::string why) { return {Found::problem, {}, std::move(why), {}}; }

// For reading, what was opened by O_PATH; or why it is not believed.
std::expected<Fd, std::string> open_sealed(const Fd& place, int seals) {
    struct stat facts{};
    if (::fstat(place.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::unexpected("is not a regular file");
    const std::string again = "/proc/self/fd/" + std::to_string(place.get());
    Fd file(::open(again.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file.valid()) return std::unexpected("cannot be opened: " + std::string(std::strerror(errno)));
    const int found = ::fcntl(file.get(), F_GET_SEALS);
    const int wanted = seals | F_SEAL_SEAL;
    if (found < 0 || (found & wanted) != wanted) return std::unexpected("is not sealed");
    return file;
}

// `link` is what the name in the descriptor folder leads to; it has the name of a record.
Reading read_record(int folder, const char* link, pid_t own_pid) {
    const Fd place(::openat(folder, link, O_PATH | O_CLOEXEC));
    struct stat facts{};
    if (!place.valid() || ::fstat(place.get(), &facts) != 0) return {};  // ended or closed meanwhile
    if (S_ISREG(facts.st_mode) && facts.st_size != static_cast<off_t>(sizeof(layout::Record))) {
        return not_believed("has " + std::to_string(facts.st_size) + " bytes, a record of this version has " +
                            std::to_string(sizeof(layout::Record)));
    }
    auto file = open_sealed(place, F_SEAL_SHRINK | F_SEAL_GROW);
    if (!file) return not_believed(file.error());

    layout::Record record;
    static_assert(std::is_trivially_destructible_v<layout::Record>);
    if (::pread(file->get(), static_cast<void*>(&record), sizeof record, 0) != static_cast<ssize_t>(sizeof record)) {
        return not_believed("cannot be read whole");
    }
    if (record.magic != layout::kMagic) return not_believed("does not begin as a record does");
    if (record.version != layout::kVersion) {
        return not_believed("has version " + std::to_string(record.version) + ", this program knows version " +
                            std::to_string(layout::kVersion));
    }
    if (record.pid != own_pid) return {};  // inherited over fork: the parent's record, not this one's

    Reading reading{Found::record, {}, {}, std::move(*file)};
    TreeView& view = reading.view;
    const auto level = text_of(record.level);
    const auto engine = text_of(record.engine);
    const auto method = text_of(record.cpuid_method);
    const auto command = text_of(record.command);
    const auto lines = text_of(record.coverage);
    const auto coverage = lines ? parse_coverage(*lines) : std::nullopt;
    if (!level || !engine || !method || !command || !coverage) return not_believed("has a field without an end");
    view.level = *level;
    view.engine = *engine;
    view.cpuid_method = *method;
    view.command = *command;
    view.coverage = *coverage;
    const std::uint32_t state = record.control.state.load(std::memory_order_relaxed);
    if (state > static_cast<std::uint32_t>(TreeState::taking_up)) return not_believed("is in an unknown state");
    view.state = static_cast<TreeState>(state);
    view.root = record.control.root.load(std::memory_order_relaxed);
    view.front = record.control.front.load(std::memory_order_relaxed);
    const TreeCounters& counters = record.counters;
    view.processes = counters.processes.load(std::memory_order_relaxed);
    view.threads = counters.threads.load(std::memory_order_relaxed);
    view.execs = counters.execs.load(std::memory_order_relaxed);
    view.cpuid_traps = counters.cpuid_traps.load(std::memory_order_relaxed);
    view.cpuid_sites = counters.cpuid_sites.load(std::memory_order_relaxed);
    view.signals_passed = counters.signals_passed.load(std::memory_order_relaxed);
    view.uncovered_execs = counters.uncovered_execs.load(std::memory_order_relaxed);
    return reading;
}

// The next descriptor that leads to `target`, by name; null at the end. `looked_at` counts.
const char* next_descriptor(int folder, DIR* listing, std::string_view target, std::size_t& looked_at) {
    while (const dirent* entry = ::readdir(listing)) {
        if (entry->d_name[0] == '.') continue;
        if (++looked_at > kMaximumDescriptors) break;
        std::array<char, 64> link{};
        const ssize_t length = ::readlinkat(folder, entry->d_name, link.data(), link.size());
        if (length > 0 && std::string_view(link.data(), static_cast<std::size_t>(length)) == target) return entry->d_name;
    }
    return nullptr;
}

struct ProcessReading {
    Reading reading;
    bool looked = false;  // its descriptors could be listed
};

ProcessReading read_process(const std::string& proc, pid_t pid) {
    ProcessReading result;
    const Fd process(::open((proc + "/" + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!process.valid()) {
        result.looked = errno == ENOENT;
        return result;
    }
    Fd folder(::openat(process.get(), "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) {
        result.looked = errno == ENOENT || errno == ESRCH;
        return result;
    }
    const int folder_fd = folder.get();
    const Directory listing(::fdopendir(folder.release()));
    if (!listing) return result;
    result.looked = true;
    std::size_t looked_at = 0;
    while (const char* const name = next_descriptor(folder_fd, listing.get(), layout::kLinkTarget, looked_at)) {
        const auto status = read_at(process.get(), "status");
        if (!status) return result;
        Reading reading = read_record(folder_fd, name, own_number(*status, pid));
        if (reading.found == Found::no) continue;
        if (reading.found == Found::problem) {
            reading.problem = "process " + std::to_string(pid) + ", descriptor " + name + ": " +
                              layout::kMemfdName + " " + reading.problem;
        } else {
            reading.view.supervisor = pid;
            const auto owner = parse_decimal(first_word(status_field(*status, "Uid")));
            if (!owner) continue;
            reading.view.owner = static_cast<uid_t>(*owner);
            reading.view.age = age_of(process.get(), proc);
        }
        result.reading = std::move(reading);
        if (result.reading.found == Found::record) break;
    }
    return result;
}

std::vector<pid_t> all_pids(const std::string& proc) {
    std::vector<pid_t> pids;
    const Directory listing(::opendir(proc.c_str()));
    if (!listing) return pids;
    while (const dirent* entry = ::readdir(listing.get())) {
        if (const auto pid = to_pid(entry->d_name)) pids.push_back(*pid);
    }
    std::ranges::sort(pids);
    return pids;
}

}  // namespace

TreeListing list_trees(const std::string& proc) {
    TreeListing listing;
    listing.complete = true;
    for (const pid_t pid : all_pids(proc)) {
        ProcessReading process = read_process(proc, pid);
        listing.complete = listing.complete && process.looked;
        if (process.reading.found == Found::record) listing.trees.push_back(std::move(process.reading.view));
        if (process.reading.found == Found::problem) listing.problems.push_back(std::move(process.reading.problem));
    }
    return listing;
}

Result<pid_t> tracer_of(pid_t pid, const std::string& proc) {
    const std::string path = proc + "/" + std::to_string(pid);
    const Fd process(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto status = process.valid() ? read_at(process.get(), "status") : std::nullopt;
    if (!status) {
        return usage_error("no such process", std::to_string(pid), {},
                           "`cpulevel status` without a number lists all levelled trees");
    }
    return to_pid(status_field(*status, "TracerPid")).value_or(0);
}

namespace {

struct ProcessPlace {
    pid_t pid = 0, parent = 0;
    pid_t own_pid = 0;      // as its own pid namespace has it
    std::string namespace_;  // link of /proc/PID/ns/pid
};

std::vector<ProcessPlace> all_places(const std::string& proc) {
    std::vector<ProcessPlace> places;
    for (const pid_t pid : all_pids(proc)) {
        const Fd process(::open((proc + "/" + std::to_string(pid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto status = process.valid() ? read_at(process.get(), "status") : std::nullopt;
        if (!status) continue;
        ProcessPlace place{pid, 0, 0, {}};
        place.parent = to_pid(status_field(*status, "PPid")).value_or(0);
        place.own_pid = own_number(*status, pid);
        std::array<char, 64> link{};
        const ssize_t length = ::readlinkat(process.get(), "ns/pid", link.data(), link.size());
        if (length > 0) place.namespace_.assign(link.data(), static_cast<std::size_t>(length));
        places.push_back(std::move(place));
    }
    return places;
}

// The process that has this number in the pid namespace that `peer` is in; 0 if there is none.
pid_t in_namespace_of(pid_t peer, pid_t number, const std::vector<ProcessPlace>& places) {
    const auto of_peer = std::ranges::find(places, peer, &ProcessPlace::pid);
    if (of_peer == places.end() || number <= 0) return 0;
    for (const ProcessPlace& place : places) {
        if (place.namespace_ == of_peer->namespace_ && place.own_pid == number) return place.pid;
    }
    return 0;
}

// `root` and what descends from it, by pid.
std::vector<pid_t> with_descendants(pid_t root, const std::vector<ProcessPlace>& places) {
    std::vector<ProcessParent> all;
    all.reserve(places.size());
    for (const ProcessPlace& place : places) all.push_back({place.pid, place.parent});
    auto family = family_of(std::span(&root, 1), all);
    std::ranges::sort(family);
    return family;
}

bool is_let_go(TreeState state) { return state == TreeState::released || state == TreeState::released_stopped; }

}  // namespace

Result<std::optional<TreeView>> find_tree(pid_t pid, const std::string& proc) {
    const auto tracer = tracer_of(pid, proc);
    if (!tracer) return std::unexpected(tracer.error());
    // A supervisor may itself be in another tree; asked for it, its own tree is meant.
    for (const pid_t candidate : {pid, *tracer}) {
        if (candidate == 0) continue;
        ProcessReading process = read_process(proc, candidate);
        if (process.reading.found == Found::record) return std::move(process.reading.view);
    }
    if (*tracer != 0) return std::nullopt;
    // The front, or a process of a tree that has no tracer now.
    std::optional<std::vector<ProcessPlace>> places;
    for (TreeView& tree : list_trees(proc).trees) {
        if (!places) places = all_places(proc);
        if (in_namespace_of(tree.supervisor, tree.front, *places) == pid) return std::move(tree);
        if (!is_let_go(tree.state)) continue;
        const pid_t root = in_namespace_of(tree.supervisor, tree.root, *places);
        if (root == 0) continue;
        const auto family = with_descendants(root, *places);
        if (std::ranges::binary_search(family, pid)) return std::move(tree);
    }
    return std::nullopt;
}

std::vector<TreeMember> tree_members(const TreeView& tree, const std::string& proc) {
    std::vector<pid_t> pids;
    if (is_let_go(tree.state)) {
        const auto places = all_places(proc);
        const pid_t root = in_namespace_of(tree.supervisor, tree.root, places);
        if (root != 0) pids = with_descendants(root, places);
    } else {
        pids = all_pids(proc);
        std::erase_if(pids, [&](pid_t pid) { return tracer_of(pid, proc).value_or(0) != tree.supervisor; });
    }
    std::vector<TreeMember> members;
    for (const pid_t pid : pids) {
        TreeMember member{pid, {}};
        std::ifstream comm(proc + "/" + std::to_string(pid) + "/comm");
        std::getline(comm, member.name);
        members.push_back(std::move(member));
    }
    return members;
}

pid_t in_namespace_of(pid_t peer, pid_t number, const std::string& proc) { return in_namespace_of(peer, number, all_places(proc)); }

pid_t root_of(const TreeView& tree, const std::string& proc) { return in_namespace_of(tree.supervisor, tree.root, all_places(proc)); }

Result<std::string> read_level_text(pid_t supervisor, const std::string& proc) {
    const std::string whom = "process " + std::to_string(supervisor);
    const std::string what = "the level of a tree cannot be read";
    const Fd folder(::open((proc + "/" + std::to_string(supervisor) + "/fd").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const Directory listing(folder.valid() ? ::fdopendir(::dup(folder.get())) : nullptr);
    if (!listing) return system_error(ErrorKind::machine, what, whom);
    std::size_t looked_at = 0;
    const char* const name = next_descriptor(folder.get(), listing.get(), layout::kLevelLinkTarget, looked_at);
    if (name == nullptr) return machine_error(what, whom, "it publishes none", "its supervisor may be an earlier version of cpulevel");
    const Fd place(::openat(folder.get(), name, O_PATH | O_CLOEXEC));
    const auto file = open_sealed(place, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    if (!file) return machine_error(what, whom, file.error());
    return read_file("/proc/self/fd/" + std::to_string(file->get()), kMostLevelText);
}

Result<Fd> open_record(pid_t supervisor, const std::string& proc) {
    ProcessReading process = read_process(proc, supervisor);
    if (process.reading.found == Found::record) return std::move(process.reading.file);
    return machine_error("no record of a levelled tree can be read", "process " + std::to_string(supervisor),
                         process.reading.problem);
}

}  // namespace cpulevel::engine
