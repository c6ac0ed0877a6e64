// How a program's CPUID instructions are changed: into jumps to stubs that answer from memory, or into planted traps.
//
// Jumps (cpuid/patch.h, cpuid/stub_area.h). A site that the decoder has proved movable becomes a jump into an area of ours
// beside the module, and the level answers there in nanoseconds. No stop, no signal: nothing about the program's signal
// handling can go wrong, and it goes on answering when nobody is attached.
//
// Traps, for the sites that cannot be moved, where the CPU cannot make CPUID fault. With CPUID faulting, CPUID in user
// mode raises #GP, which arrives as SIGSEGV (SI_KERNEL, address 0). HLT is privileged and does exactly the same on every
// x86 CPU. So the first byte of the instruction, 0F, becomes F4 (HLT): the thread stops at the same place with the same
// signal, and one handler serves both machines.
//
// What goes wrong otherwise: the bytes 0F A2 also stand inside other instructions and in data. Only places that
// find_sites() proved are changed, and only while memory holds there what the file holds. CPUID in code that a program
// writes itself (a JIT compiler's) is not in a file and is not caught without CPUID faulting: coverage says so.
//
// Libraries: the dynamic loader maps them by mmap. Its own system call instruction for that (proved by find_sites too)
// becomes a jump to a stub in our area that does the call, and stops by a HLT only where that mapped code: the new mapping's
// sites are changed before the loader goes on. Where the call cannot be moved (i386) it gets a trap, `F4 05` or `F4 80`, and the
// supervisor has it done at another system call instruction (in the vdso). No stop for any other mmap, none for the code of a file
// that is known to have no CPUID (cpuid/known_files.h), and nothing
// stays behind in the process but bytes that can be written back (a seccomp filter could not be taken away again).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cpuid/live_rows.h"
#include "cpuid/module_plan.h"
#include "cpuid/site_record.h"
#include "engine/ptrace/changed_byte.h"
#include "engine/ptrace/site_store.h"
#include "engine/ptrace/task.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

struct PlantingCounts {
    std::size_t in_memory = 0;   // CPUID instructions that answer from memory
    std::size_t planted = 0;     // traps over CPUID
    std::size_t undecided = 0;   // places that could be CPUID and were left alone
    std::size_t unreadable = 0;  // mapped files that could not be examined
    PlantingCounts& operator+=(const PlantingCounts& other);
    friend bool operator==(const PlantingCounts&, const PlantingCounts&) = default;
};

// A file that was examined, for as long as the tree lives.
struct KnownFile {
    std::shared_ptr<const cpuid::SiteScan> scan;  // null: it cannot be examined
    bool serializes = false;      // it uses CPUID as a barrier, which memory cannot answer
    bool named_loader = false;    // its name is a dynamic loader's
    std::uint32_t file_call = 0;  // a loader: how it asks about files (cpuid/known_files.h)
};

// One file's executable mappings in a process, with what is known of the file.
struct CodeModule {
    std::shared_ptr<const KnownFile> file;
    std::vector<cpuid::CodeMapping> mappings;
    bool loads = false;           // a dynamic loader: its mmap calls are watched
    std::uint64_t slack = 0;      // a loader: what is left of the last page of its text
    std::size_t slack_size = 0;   // bytes
    bool asks = false;            // files are looked up in its mmap calls' stubs: those without CPUID do not stop there
    std::uint64_t below = 0;      // an address under which an area would lie near
    std::size_t area_size = 0;    // bytes of an area of its own; 0: none
    std::uint64_t area = 0;       // where that was mapped; 0: it was not
};

// A dynamic loader that was started as a program ("/lib64/ld-linux-x86-64.so.2 PROGRAM"); musl's is its libc.
[[nodiscard]] bool is_loader(std::string_view path);

// A stub area of ours that was found in a process.
struct KnownArea {
    std::uint64_t start = 0, end = 0;  // of the mapping's part that may hold stubs
    std::uint64_t routine = 0;         // address of the lookup routine
};

class Planter {
   public:
    // `table`: the level's (flat_table.h); empty: no stubs. `traps`: plant them for what stubs do not serve.
    // `store`: where what is found out about files is kept beyond this run; null: nowhere.
    Planter(std::span<const std::byte> table, bool traps, const SiteStore* store = nullptr)
        : table_(table), traps_(traps), store_(store) {}

    // What the CPUs answer to LIVE fields, for the areas from now on.
    void set_live_answers(const cpuid::LiveAnswers& known) { live_ = cpuid::live_rows(table_, known); }

    // A program at PTRACE_EVENT_EXEC; `entry` and `interpreter_base` are AT_ENTRY and AT_BASE (0: none). Nothing is changed.
    [[nodiscard]] std::vector<CodeModule> examine_program(pid_t pid, std::uint64_t entry, std::uint64_t interpreter_base,
                                                          bool is_32bit, PlantingCounts& counts);
    // A mapping that mmap just made: [start, start + length) of descriptor `fd` of the tracee, from `offset`. Nothing if
    // there is nothing to change in it; `counts` says what of that is left alone.
    [[nodiscard]] std::optional<CodeModule> examine_mapping(pid_t pid, std::uint64_t start, std::uint64_t length, int fd,
                                                            std::uint64_t offset, PlantingCounts& counts);
    // Changes the module's sites; where it has an area, writes that first, or, where it is not mapped yet, into `area_content`.
    // `memory`: /proc/PID/mem, open for both.
    PlantingCounts install(pid_t pid, const Fd& memory, AddressSpace& space, const CodeModule& module,
                           std::vector<std::byte>* area_content = nullptr) const;

    // For a process that runs already, all of its threads stopped (take_over_x86_64.cpp). `interpreter_base`: AT_BASE, or 0.
    [[nodiscard]] std::vector<CodeModule> examine_process(pid_t pid, std::uint64_t interpreter_base, PlantingCounts& counts);
    // Addresses of the CPUID instructions of its files' code that no jump of ours stands for, sorted: what they answer
    // changes when a tree is let go of or taken up.
    [[nodiscard]] std::vector<std::uint64_t> live_sites(pid_t pid);
    // Stub areas that are ours to the byte, brought to this level where their size lets them be.
    [[nodiscard]] std::vector<KnownArea> find_areas(pid_t pid) const;
    // Keeps what leads into those areas; everything else becomes a trap where traps are wanted, and what it was otherwise.
    // What is changed is noted in `changed`. Nothing if a byte cannot be written.
    [[nodiscard]] std::optional<PlantingCounts> take_over(pid_t pid, AddressSpace& space, const CodeModule& module,
                                                          std::span<const KnownArea> areas, std::vector<ChangedByte>& changed) const;
    // The traps that stand in the process's files' code now, for a space that does not know them all.
    void find_traps(pid_t pid, AddressSpace& space);
    // The space's areas have no answers of CPUs from now on: their stubs execute CPUID for LIVE fields.
    [[nodiscard]] bool forget_live_answers(pid_t pid, const AddressSpace& space, std::vector<ChangedByte>& changed) const;

   private:
    std::shared_ptr<const KnownFile> known_file(const char* path, cpuid::FileIdentity* identity = nullptr);
    std::shared_ptr<const KnownFile> examine(const char* path, const cpuid::FileIdentity& identity) const;
    std::shared_ptr<const cpuid::SiteScan> scan(int fd, const cpuid::FileIdentity& identity) const;
    void size_area(CodeModule& module, bool is_32bit) const;

    std::span<const std::byte> table_;
    std::vector<std::byte> live_;  // live_rows() of the table
    bool traps_;
    const SiteStore* store_;
    std::map<cpuid::FileIdentity, std::shared_ptr<const KnownFile>> files_;
    std::vector<cpuid::FileIdentity> without_cpuid_;  // libraries, the latest of those that were mapped
};

}  // namespace cpulevel::engine::ptrace
