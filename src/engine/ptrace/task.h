// What the supervisor knows of each thread (tracee) and of each memory image that threads share.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cpuid/module_plan.h"
#include "engine/ptrace/registers.h"
#include "engine/ptrace/saved_vector.h"
#include "inherit/marks.h"

namespace cpulevel::engine::ptrace {

using cpuid::PlantedTrap;
using cpuid::ReplacedSite;

// One memory image (mm): shared by threads and by a vfork child, copied by fork, replaced by exec.
struct AddressSpace {
    inherit::Marks marks;            // as of the last take_marks()
    std::shared_ptr<const SavedVector> saved;
    inherit::HwcapWords known_words;  // of the saved vector, as of then
    inherit::AbiFamily abi = inherit::AbiFamily::x86;
    bool untouched = false;          // of a process that is just taken up: not examined yet
    bool unknown_traps = false;      // a copy of one that was gone before it could be asked: `traps` is not complete
    std::vector<PlantedTrap> traps;  // by address
    std::vector<ReplacedSite> jumps;
    std::vector<cpuid::StubRoom> rooms;  // what our areas have left
    RemoteAddress syscall_gadget{};  // a system call instruction in the vdso; 0: none known
};

enum class Phase : std::uint8_t {
    fresh,          // born, its first stop is still to come
    held,           // had its first stop before its parent's event said whose child it is
    running,        // on its own
    exec_stub,      // runs ExecStub; ends in a trap
    remote_call,    // runs one system call for us at the gadget, watched from stop to stop
};

struct NewProgram;  // supervisor.h

struct Thread {
    pid_t tid = 0;
    Phase phase = Phase::fresh;
    bool parent_known = false;  // its parent's event came first
    bool cpuid_faults_for_program = false;  // the program asked for CPUID faulting itself (ARCH_SET_CPUID, 0)
    bool leads_process = false;  // its number is the process's
    bool in_syscall = false;    // remote_call: between entry and exit
    int held_signal = 0;        // held: the signal of the stop (group-stop or 0)
    bool parked = false;        // kept in a stop while the whole tree is (tree_stop.cpp)
    int parked_signal = 0;      // parked: of the group-stop that it is in; 0: none
    bool faults = false;        // has a fault of its own still to come: it is not interrupted before that
    pid_t vfork_parent = 0;     // thread that waits until this process, its vfork child, execs or ends
    std::shared_ptr<AddressSpace> space;

    // exec_stub and remote_call: what to put back afterwards.
    Registers saved;
    RemoteAddress stub_at{};
    std::array<std::byte, ExecStub::kMostCode> stub_original{};
    std::uint8_t stub_size = 0;
    ExecStub::Tasks stub_tasks;
    std::unique_ptr<NewProgram> starting;  // what is done at the stub's end
    bool filters_suspended = false;
    // Signals that were blocked or ignored when the program started: a forced trap resets that.
    std::uint64_t start_mask = 0, start_ignored = 0;

    enum class Call : std::uint8_t { none, map, restore_ignore } call = Call::none;
    int restore_signal = 0;  // restore_ignore: of which signal
};

}  // namespace cpulevel::engine::ptrace
