// The running trees: what each supervisor publishes, and how `status` finds it.
//
// A supervisor keeps its record in a file that exists only in memory (memfd) and holds it open. Whoever may look at
// the supervisor's descriptors (its own user, root) finds the file in /proc/PID/fd by its name and reads it. So
// there is no directory to agree on and to defend, nothing to clean up after a crash, no record that outlives its
// process or is mistaken for another one's when a pid is used again; a container without a writable file
// system has records too, and root on the host sees them. (Decision: docs/decisions/008-registry.md.)
//
// The counters are plain atomics in that file, mapped by the supervisor: an update is one store, without a system
// call, a lock, or an event in its loop. The file is sealed: nobody, not even the same user, can resize it or write to
// it through another descriptor.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::engine {

struct TreeDescription {
    std::string level;                 // its name
    std::string engine;                // "ptrace"
    std::string cpuid_method;          // "CPUID faulting", "patched sites", "none", ...
    std::vector<std::string> command;  // as started
    Coverage coverage;                 // what does not fit into a record is cut off at the end
    std::string level_text = {};       // the level itself (level/level_json.h), for who has to know it; empty: there is none
};

// Shared memory: the supervisor stores with memory_order_relaxed, readers may be a moment behind.
struct TreeCounters {
    std::atomic<std::uint64_t> processes{0};        // living now
    std::atomic<std::uint64_t> threads{0};          // living now, all processes together
    std::atomic<std::uint64_t> execs{0};            // programs levelled since the start
    std::atomic<std::uint64_t> cpuid_traps{0};      // CPUID instructions answered by a stop
    std::atomic<std::uint64_t> cpuid_sites{0};      // CPUID instructions changed to answer without a stop
    std::atomic<std::uint64_t> signals_passed{0};   // delivered to the tree through the supervisor
    std::atomic<std::uint64_t> uncovered_execs{0};  // programs of which some channel could not be levelled
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

enum class TreeState : std::uint32_t {
    levelling,         // the supervisor traces the tree
    released,          // it has let go: nobody enforces the level (ptrace/release.h)
    released_stopped,  // the same, and it has left every process stopped
    taking_up,         // it is just taking the tree up (again); may wait for processes that are frozen
};
[[nodiscard]] std::string_view name(TreeState state);

// How a supervisor answers who asked it something (ptrace/control.h). Readers may wait on `answers` as on a futex.
struct TreeControl {
    std::atomic<std::uint32_t> state{0};    // TreeState
    std::atomic<std::uint32_t> answers{0};  // requests answered so far; `TreeRecord::answer` counts
    std::atomic<std::int32_t> root{0};      // first process of the tree, in the supervisor's pid namespace; 0: gone
    std::atomic<std::int32_t> front{0};     // the process that the user started; 0: none
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

class TreeRecord {
   public:
    // Publishes a record of the calling process. Fails only where memfd_create is denied (a sandbox); a supervisor
    // goes on without a record then, and says so. A child made by fork() shares the memory until its exec, but
    // a record counts only for the process that created it.
    [[nodiscard]] static Result<TreeRecord> create(const TreeDescription& description);

    TreeRecord(TreeRecord&&) noexcept = default;
    TreeRecord& operator=(TreeRecord&&) noexcept = default;
    ~TreeRecord() = default;

    [[nodiscard]] TreeCounters& counters() const;
    [[nodiscard]] TreeControl& control() const;
    // Publishes the answer to a request, and wakes who waits for it. At most kMostAnswer bytes are kept.
    void answer(std::string_view text) const;
    static constexpr std::size_t kMostAnswer = 16 * 1024 - 1;

   private:
    struct Unmap {
        void operator()(void* page) const;
    };
    TreeRecord(Fd file, std::unique_ptr<void, Unmap> page, Fd level)
        : file_(std::move(file)), page_(std::move(page)), level_(std::move(level)) {}

    Fd file_;
    std::unique_ptr<void, Unmap> page_;
    Fd level_;  // a file of its own beside the record, whose size is fixed; not there where it could not be made
};

// One record as it was read. Text comes from another process: print it with util's printable().
struct TreeView {
    pid_t supervisor = 0;  // in the reader's pid namespace
    uid_t owner = 0;       // the supervisor's real user
    std::string level, engine, cpuid_method, command;
    Coverage coverage;
    std::chrono::seconds age{0};  // since the supervisor's start
    TreeState state = TreeState::levelling;
    pid_t root = 0, front = 0;  // in the supervisor's pid namespace
    std::uint64_t processes = 0, threads = 0, execs = 0, cpuid_traps = 0, cpuid_sites = 0, signals_passed = 0,
                  uncovered_execs = 0;
};

struct TreeMember {
    pid_t pid = 0;
    std::string name;  // /proc/PID/comm
};

struct TreeListing {
    std::vector<TreeView> trees;        // by the supervisor's pid
    std::vector<std::string> problems;  // records that were found and not believed, and why
    bool complete = false;              // all processes could be looked at (root); else only one's own user's
};

// `proc` is where procfs is mounted; another one is for tests.
[[nodiscard]] TreeListing list_trees(const std::string& proc = "/proc");

// The tree of which `pid` is the supervisor, the front, or a member (process or thread), also of one that its supervisor
// has let go of; nothing if it is in none. An error if there is no such process.
[[nodiscard]] Result<std::optional<TreeView>> find_tree(pid_t pid, const std::string& proc = "/proc");

// The processes that the supervisor traces now, by pid; of a tree that it has let go of, the first process and its
// descendants.
[[nodiscard]] std::vector<TreeMember> tree_members(const TreeView& tree, const std::string& proc = "/proc");

// The supervisor's record as a file to read, checked as list_trees() checks it: of its size, sealed, its own. Its layout
// is layout::Record (registry_layout.h).
[[nodiscard]] Result<Fd> open_record(pid_t supervisor, const std::string& proc = "/proc");

// The level that a supervisor enforces, as text (level/level_json.h): a checkpoint keeps it, so that the tree can come under it
// again. It comes from another process: read it as any file. An error where the supervisor publishes none, as earlier
// versions did not.
inline constexpr std::size_t kMostLevelText = 1U << 20U;
[[nodiscard]] Result<std::string> read_level_text(pid_t supervisor, const std::string& proc = "/proc");

// The process that has `number` in the pid namespace of `peer`, as we see it; 0: there is none.
[[nodiscard]] pid_t in_namespace_of(pid_t peer, pid_t number, const std::string& proc = "/proc");

// The first process of the tree, as the reader sees it; 0: it has ended.
[[nodiscard]] pid_t root_of(const TreeView& tree, const std::string& proc = "/proc");

// The process that traces `pid`; 0 if none. An error if there is no such process.
[[nodiscard]] Result<pid_t> tracer_of(pid_t pid, const std::string& proc = "/proc");

}  // namespace cpulevel::engine
