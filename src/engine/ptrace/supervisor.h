// The supervisor: one process, one thread, one loop over waitpid. It is the tracer of every thread of the tree.
//
// What the kernel does. With PTRACE_SEIZE and the TRACEFORK/VFORK/CLONE/EXEC options every new thread of the tree
// is traced from birth, and stops (1) at its birth, (2) its parent at the call that bore it, (3) at each execve,
// when the new program is in place but has not run, (4) at each signal before it is delivered. Nothing else stops:
// no system calls are watched.
//
// What we do at an exec. The new program's auxiliary vector is read from its stack, edited by the rules of
// inherit/marks.h, and written back. Then a stub of a few instructions, written for a moment over the program's
// entry, sets the saved vector (/proc/PID/auxv) and arms CPUID faulting from inside: both are things that a process
// can do only to itself. The stub ends in a trap; the entry and the registers are put back; the program starts. So an
// exec costs two stops, and one where all that can be done beforehand (quick_start.h). Where CPUID does not fault, traps
// are planted instead (planting.h).
//
// What we do at a CPUID. It arrives as a SIGSEGV that the program must never see: the registers are answered from the
// level's table, and the thread goes on behind the instruction. Every other signal is delivered untouched.
//
// What goes wrong otherwise. A forced signal (a fault, a trap) that the thread blocks or ignores is unblocked and
// reset to its default by the kernel (force_sig_info_to_task) before we see it: both are put back. A thread in
// group-stop must be left listening, not continued, or Ctrl-Z stops working. A new thread's first stop may come
// before its parent's event says whose child it is: it is held until then. Threads die at any moment, SIGKILL
// asks nobody: every request may fail, and the exit status follows by waitpid.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "cpuid/lookup_ranges.h"
#include "engine/ptrace/let_go.h"
#include "engine/ptrace/live_cpuid.h"
#include "engine/ptrace/planting.h"
#include "engine/ptrace/policy.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/quick_start.h"
#include "engine/ptrace/run_log.h"
#include "engine/ptrace/take_up.h"
#include "engine/ptrace/task.h"
#include "util/error.h"

namespace cpulevel::engine::ptrace {

// A program between its exec and its first instruction.
struct NewProgram {
    ExecRecord record;
    Fd memory;          // /proc/PID/mem; not kept open once it runs
    ExecStub::Tasks tasks;
    QuickStub quick;    // that it runs, if it was started so
    ProcStat stat;
    RemoteAddress vector_at{};
    std::size_t vector_size = 0;
    std::uint64_t vdso = 0;
    std::vector<CodeModule> modules;
    std::optional<inherit::HwcapWords> words;  // that its stack has now
    bool vector_is_set = false;  // its saved vector is the same
};

class Supervisor {
   public:
    struct Options {
        bool kill_tree_with_us = true;  // PTRACE_O_EXITKILL
        bool kill_uncovered = false;    // a program of which a channel cannot be covered does not start
        const SiteStore* store = nullptr;  // what is found out about files is kept there; null: for this run only
        pid_t front = 0;                // told (SIGCONT) when the program is continued or gone: it stopped with it
    };
    Supervisor(const Policy& policy, RunLog& log, Options options) : policy_(policy), log_(log), options_(options), planter_(policy.table, policy.method == CpuidMethod::planted, options.store) {}

    // Takes the process `root` up, which has not yet exec'ed the program.
    [[nodiscard]] Result<void> seize(pid_t root);
    enum class Served : std::uint8_t { ended, asked };
    // Serves until no thread is left, or a request waits (control.h). `root_gone(wait status)` is called when the root
    // process has ended.
    Served serve(const std::function<void(int status)>& root_gone);
    // let_go.h and take_up.h. An error leaves everything as it was.
    [[nodiscard]] Result<LetGo> let_go(const LetGoOptions& options);
    [[nodiscard]] Result<TakenUp> take_up(const TakeUpOptions& options);
    [[nodiscard]] pid_t root() const { return root_; }

   private:
    pid_t next_event(int& status);
    void handle(pid_t tid, int status);
    void thread_gone(pid_t tid, int status);
    Thread& thread_of(pid_t tid);  // known, or new and counted
    void forget(std::unordered_map<pid_t, Thread>::iterator thread);
    void on_birth(Thread& parent);
    void on_first_stop(Thread& thread, int stop_signal);
    bool adopt_orphan(Thread& child);
    void adopt_orphans();
    std::shared_ptr<AddressSpace> copied_space(AddressSpace& parent, pid_t child);
    void adopt_birth(Thread& child, std::shared_ptr<AddressSpace> space);
    void continue_front();
    void on_exec(pid_t tid);
    void on_signal(Thread& thread, int signal);
    void on_syscall_stop(Thread& thread);
    void on_group_stop(Thread& thread, int stop_signal);

    // tree_stop.cpp
    enum class Stop : std::uint8_t { anywhere, between_lookups };  // of its CPU's features: settle.cpp
    [[nodiscard]] Result<void> stop_tree(std::chrono::milliseconds patience, Stop where);
    [[nodiscard]] bool all_parked() const;
    [[nodiscard]] bool wait_parked(std::chrono::steady_clock::time_point until);
    [[nodiscard]] std::string unparked() const;
    [[nodiscard]] static std::unexpected<Error> not_stopped(const std::string& which, std::string_view state);
    void park(Thread& thread, int stop_signal);
    void free_vfork_children();
    void interrupt(const Thread& thread);
    void continue_tree();
    void detach_tree();
    [[nodiscard]] std::optional<std::int64_t> call_now(Thread& thread, std::uint64_t number, std::span<const std::uint64_t> arguments);
    enum class NextStop : std::uint8_t { wanted, interrupted, gone };
    NextStop next_stop(Thread& thread, int wanted);
    [[nodiscard]] bool end_call(Thread& thread, bool stopped_by_interrupt);
    // settle.cpp
    void serve_for(std::chrono::milliseconds time);
    [[nodiscard]] bool is_looking_up(const Thread& thread, std::map<pid_t, std::vector<cpuid::LookupRange>>& known);
    [[nodiscard]] bool settle(std::chrono::steady_clock::time_point until);
    // let_go.cpp
    [[nodiscard]] bool remove_traps(pid_t tid, AddressSpace& space, std::vector<ChangedByte>& changed, LetGo& done);
    std::int64_t set_cpuid_faulting(Thread& thread, bool faults);
    // take_up.cpp
    [[nodiscard]] Result<void> seize_all(const TakeUpOptions& options);
    [[nodiscard]] Result<bool> seize_one(pid_t process, pid_t tid);
    [[nodiscard]] Result<void> take_spaces(TakenUp& done, std::vector<ChangedByte>& changed);
    [[nodiscard]] Result<void> take_space(Thread& worker, TakenUp& done, std::vector<ChangedByte>& changed);
    // take_over_x86_64.cpp: asks the lookup routine at this address, in the thread itself; nothing: it cannot be asked.
    [[nodiscard]] std::optional<bool> answers_the_level(Thread& thread, std::uint64_t routine);
    // exec_stops.cpp
    // `words`: what its HWCAP words are known to be; nothing: they are read.
    Result<void> follow_vector(pid_t pid, AddressSpace& space, const Registers& registers,
                               const std::optional<inherit::HwcapWords>& words = std::nullopt);
    void level_program(Thread& thread);
    bool start_stub(Thread& thread, Registers registers, const ExecStub& stub, const NewProgram& program);
    bool on_stub_end(Thread& thread);
    // quick_start_x86_64.cpp
    bool start_quickly(Thread& thread, const Registers& registers, NewProgram& program);
    bool on_quick_trap(Thread& thread);
    bool leave_quick_start(Thread& thread);
    static void undo_installation(const Fd& memory, AddressSpace& space);
    static ExecStub::Data exec_data(const NewProgram& program);
    void finish_start(Thread& thread, NewProgram& program, bool trapped);
    void go_on(Thread& thread, NewProgram& program);
    enum class Filters : std::uint8_t { none, suspended, in_force };  // of the program's own
    [[nodiscard]] Filters suspend_filters(pid_t pid);
    void resume_filters(pid_t pid);
    [[nodiscard]] std::uint64_t options() const;
    // cpuid_stops.cpp
    bool on_segmentation_fault(Thread& thread);
    bool on_planted_trap(Thread& thread, Registers& registers);
    bool on_lost_stub(Thread& thread, std::uint64_t fault);
    void answer_cpuid(Thread& thread, Registers& registers, unsigned length);
    void put_signal_state_back(Thread& thread, int signal);
    void put_start_state_back(Thread& thread, int signal);
    // remote_calls.cpp
    bool start_map_call(Thread& thread, Registers& registers);
    void finish_map_call(Thread& thread, const Registers& registers);
    void pass_map_stop(Thread& thread, Registers& registers);
    void plant_mapping(Thread& thread, const Registers& registers, std::int64_t result);
    bool start_restore_ignore(Thread& thread, int signal);
    bool start_remote_call(Thread& thread, const Registers& registers, Thread::Call call);
    void finish_remote_call(Thread& thread, const Registers& registers);
    void learn_live_answers();
    // watched_calls.cpp
    void on_watched_call(Thread& thread);
    RemoteAddress find_gadget(pid_t pid, std::uint64_t vdso, bool is_32bit);

    const Policy& policy_;
    RunLog& log_;
    Options options_;
    Planter planter_;
    LiveCpuid live_cpuid_;
    std::unordered_map<pid_t, Thread> threads_;
    pid_t root_ = 0;
    bool root_stopped_ = false;
    bool stopping_ = false;            // threads that stop are parked: the tree is let go, or taken up
    std::size_t held_ = 0;             // threads in Phase::held
    std::size_t unasked_ = 0;          // at most so many of them have not been asked who their parent is
    // Whether filters can be suspended, and then asked for too; not tried yet, until the kernel has answered once.
    std::optional<bool> can_suspend_filters_;
    std::uint64_t own_filters_ = 0;    // seccomp filters that every program of the tree has from us and before us
    std::function<void(int)> root_gone_;
    std::array<std::uint64_t, 2> gadget_offset_{};  // in the vdso, by bitness; 0: not looked for yet
};

}  // namespace cpulevel::engine::ptrace
