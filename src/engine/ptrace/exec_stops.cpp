// A new program is levelled: its vector on the stack, its saved vector, and how its CPUID is caught.
#include <fmt/format.h>
#include <linux/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "engine/ptrace/new_program.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/supervisor.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint64_t kAtBase = 7;        // where the interpreter is; <linux/auxvec.h>
constexpr std::uint64_t kAtEntry = 9;       // where the program, not its interpreter, starts
constexpr std::uint64_t kAtVdso = 33;       // AT_SYSINFO_EHDR
constexpr std::uint64_t kBelowStack = 512;  // the map's place: below the stack pointer, beyond any red zone

std::string program_path(pid_t pid) {
    std::array<char, 4096> path;
    const ssize_t size = ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), path.data(), path.size());
    if (size >= 0) return std::string(path.data(), static_cast<std::size_t>(size));
    // A program that its user may not read: its short name is open to everybody.
    const auto name = read_file(fmt::format("/proc/{}/comm", pid));
    return name ? std::string(trim(*name)) : "?";
}

prctl_mm_map memory_borders(const ProcStat& stat, std::uint64_t vector_at, std::size_t vector_size) {
    prctl_mm_map map{};
    map.start_code = stat.start_code;
    map.end_code = stat.end_code;
    map.start_data = stat.start_data;
    map.end_data = stat.end_data;
    map.start_brk = stat.start_brk;
    map.brk = stat.start_brk;  // a new program has not moved it yet
    map.start_stack = stat.start_stack;
    map.arg_start = stat.arg_start;
    map.arg_end = stat.arg_end;
    map.env_start = stat.env_start;
    map.env_end = stat.env_end;
    // The kernel copies from the stack what we have just edited there.
    map.auxv = std::bit_cast<__u64*>(vector_at);
    map.auxv_size = static_cast<__u32>(vector_size);
    map.exe_fd = ~0U;
    return map;
}

}  // namespace

void Supervisor::level_program(Thread& thread) {
    const pid_t pid = thread.tid;
    take_marks(*thread.space);  // what the old image's programs have set until its end
    const inherit::Marks marks = thread.space->marks;
    thread.space = std::make_shared<AddressSpace>();
    AddressSpace& space = *thread.space;
    space.marks = marks;

    ExecRecord record;
    record.pid = pid;
    if (log_.wants_details()) record.program = program_path(pid);
    auto go_on_unlevelled = [&](std::string why) {
        if (record.program.empty()) record.program = program_path(pid);
        record.problem = std::move(why);
        log_.exec(std::move(record));
        resume(pid, Resume::run, options_.kill_uncovered ? SIGKILL : 0);
    };

    auto registers = Registers::get(pid);
    if (!registers) return resume(pid, Resume::run), void();
    thread.saved = *registers;
    record.is_32bit = registers->is_32bit();
    const auto size = record.is_32bit ? inherit::WordSize::bits32 : inherit::WordSize::bits64;
    auto stack = read_stack_vector(pid, registers->stack(), size);
    if (!stack) {
        return go_on_unlevelled("its stack cannot be read (a program that its user may not read is closed to tracers)");
    }

    record.secure = stack->vector.find(inherit::kAtSecure).value_or(0) != 0;
    const auto vdso = stack->vector.find(kAtVdso).value_or(0);
    const auto interpreter = stack->vector.find(kAtBase).value_or(0);
    const auto entry = stack->vector.find(kAtEntry).value_or(0);
    const auto security = policy_.security_bits.find(registers->abi());
    inherit::ExecOutcome outcome =
        inherit::after_exec(marks,
                            {registers->abi(), std::move(stack->vector), record.secure,
                             security == policy_.security_bits.end() ? inherit::HwcapWords{} : security->second},
                            policy_.imposed);
    space.marks = std::move(outcome.marks);
    for (const inherit::AuxEdit& edit : outcome.edits) set_entry(stack->bytes, size, edit.type, edit.value);
    if (!outcome.edits.empty() && !write_memory(pid, stack->at, stack->bytes)) {
        return go_on_unlevelled("its stack cannot be written");
    }
    const auto edited = inherit::AuxVector::parse(stack->bytes, size);
    record.edits = std::move(outcome.edits);

    space.syscall_gadget = find_gadget(pid, vdso, record.is_32bit);  // also to put signal states back
    auto starting = std::make_unique<NewProgram>();
    if (edited) starting->words = words_of(*edited);
    if (policy_.method == CpuidMethod::planted || !policy_.table.empty()) {
        starting->modules = planter_.examine_program(pid, entry, interpreter, record.is_32bit, record.planting);
        if (record.planting.unreadable != 0 && policy_.method == CpuidMethod::planted) {
            record.problem = "not all of its files can be examined for CPUID";
        }
    }
    const Filters filters = suspend_filters(pid);
    // A program's own filter is asked about each call: the stubs make none that it does not make itself.
    for (CodeModule& module : starting->modules) module.asks = module.asks && filters == Filters::none;
    ExecStub::Tasks& tasks = starting->tasks;
    tasks = {.set_aux_vector = policy_.set_saved_vector && !record.edits.empty(),
             .arm_cpuid_faulting = policy_.method == CpuidMethod::faulting,
             .areas = {},
             .name_areas = policy_.name_areas};
    for (std::size_t i = 0; i < std::min(tasks.areas.size(), starting->modules.size()); ++i) {
        tasks.areas[i] = {starting->modules[i].below, starting->modules[i].area_size};
    }
    // A seccomp filter of the program's own may refuse our calls, or kill for them.
    thread.filters_suspended = filters == Filters::suspended;
    if (filters == Filters::in_force) {
        if (tasks.set_aux_vector) {
            record.problem =
                "it runs under a seccomp filter: its stack is levelled, but /proc/PID/auxv is the machine's own";
        }
        tasks.set_aux_vector = false;
        tasks.areas = {};
    }
    const ExecStub stub(record.is_32bit, tasks, policy_.cookie);
    const auto stat = read_proc_stat(pid);
    const auto mask = signal_mask(pid);
    if (!stat || !mask) return go_on_unlevelled("its signal state cannot be read");
    thread.start_mask = *mask;
    thread.start_ignored = stat->ignored;
    starting->record = std::move(record);
    starting->stat = *stat;
    starting->vector_at = stack->at;
    starting->vector_size = stack->bytes.size();
    starting->vdso = vdso;
    if (!stub.empty() || !starting->modules.empty()) starting->memory = open_process_memory(pid);
    if (stub.empty()) {
        finish_start(thread, *starting, false);
        return;
    }
    if (start_quickly(thread, *registers, *starting)) {
        NewProgram& program = *starting;
        thread.starting = std::move(starting);
        go_on(thread, program);
        return;
    }
    if (!start_stub(thread, *registers, stub, *starting)) {
        record = std::move(starting->record);
        return go_on_unlevelled("no code can be run in it");
    }
    thread.starting = std::move(starting);
    resume(pid, Resume::run);
}

// The last step before the program's first instruction.
void Supervisor::finish_start(Thread& thread, NewProgram& program, bool trapped) {
    ExecRecord& record = program.record;
    for (const CodeModule& module : program.modules) {
        record.planting += planter_.install(thread.tid, program.memory, *thread.space, module);
    }
    if (std::exchange(thread.filters_suspended, false)) resume_filters(thread.tid);
    thread.phase = Phase::running;
    if (trapped) put_start_state_back(thread, SIGTRAP);
    go_on(thread, program);
}

void Supervisor::go_on(Thread& thread, NewProgram& program) {
    ExecRecord& record = program.record;
    program.memory = {};
    const bool set = record.edits.empty() || program.vector_is_set;
    const auto followed = follow_vector(thread.tid, *thread.space, thread.saved, set ? program.words : std::nullopt);
    if (!followed && record.problem.empty()) {
        record.problem = "what it sets by prctl for its programs cannot be seen: " + followed.error().message();
    }
    const bool uncovered = !record.problem.empty();
    log_.exec(record);
    if (uncovered && options_.kill_uncovered) {
        ::kill(thread.tid, SIGKILL);
    } else if (thread.phase == Phase::running) {
        resume(thread.tid, Resume::run);
    }
}

// From here on a vector that differs was set by a program.
Result<void> Supervisor::follow_vector(pid_t pid, AddressSpace& space, const Registers& registers,
                                       const std::optional<inherit::HwcapWords>& words) {
    space.abi = registers.abi();
    auto saved = SavedVector::open(pid, registers.is_32bit() ? inherit::WordSize::bits32 : inherit::WordSize::bits64);
    if (!saved) return std::unexpected(saved.error());
    space.saved = std::move(*saved);
    if (words) {
        space.known_words = *words;
    } else {
        remember_vector(space);
    }
    return {};
}

// Root's tracer may switch the tracee's filters off for the few instructions of the stub (PTRACE_O_SUSPEND_SECCOMP,
// needs CAP_SYS_ADMIN); they are on again before the program's first instruction. Where that is possible, so is asking
// for a filter (both come with CONFIG_CHECKPOINT_RESTORE), and nearly no program has one.
Supervisor::Filters Supervisor::suspend_filters(pid_t pid) {
    if (can_suspend_filters_ == true) {
        struct {
            std::uint64_t which, flags;
        } filter{own_filters_, 0};  // struct seccomp_metadata; filters are counted from the first that was installed
        constexpr auto kGetMetadata = static_cast<__ptrace_request>(0x420d);  // PTRACE_SECCOMP_GET_METADATA, Linux 4.16
        errno = 0;
        const bool has_more = ::ptrace(kGetMetadata, pid, std::bit_cast<void*>(sizeof filter), &filter) >= 0;
        if (!has_more && (errno == ENOENT || (errno == EINVAL && own_filters_ == 0))) return Filters::none;
    }
    if (can_suspend_filters_ != false) {
        can_suspend_filters_ =
            ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, std::bit_cast<void*>(options() | PTRACE_O_SUSPEND_SECCOMP)) == 0;
    }
    if (can_suspend_filters_ == true) return Filters::suspended;
    return count_filters(pid) > own_filters_ ? Filters::in_force : Filters::none;
}

void Supervisor::resume_filters(pid_t pid) {
    ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, std::bit_cast<void*>(options()));
}

ExecStub::Data Supervisor::exec_data(const NewProgram& program) {
    return {.map = memory_borders(program.stat, value(program.vector_at), program.vector_size)};
}

bool Supervisor::start_stub(Thread& thread, Registers registers, const ExecStub& stub, const NewProgram& program) {
    const pid_t pid = thread.tid;
    const RemoteAddress entry = stub.place(registers.instruction());
    thread.stub_at = entry;
    thread.stub_size = static_cast<std::uint8_t>(stub.code().size());
    thread.stub_tasks = stub.tasks();
    const auto original = std::span(thread.stub_original).first(thread.stub_size);
    if (read_memory(pid, entry, original) != original.size()) return false;

    const ExecStub::Data data = exec_data(program);
    const RemoteAddress data_at{(value(registers.stack()) - kBelowStack) & ~std::uint64_t{15}};
    if (!write_memory(pid, data_at, std::as_bytes(std::span(&data, 1)))) return false;
    if (!write_text(program.memory, entry, stub.code())) return false;

    stub.prepare(registers, entry, data_at);
    if (!registers.set(pid)) return false;
    thread.phase = Phase::exec_stub;
    return true;
}

bool Supervisor::on_stub_end(Thread& thread) {
    const pid_t pid = thread.tid;
    const auto registers = Registers::get(pid);
    if (!registers) return resume(pid, Resume::run), true;  // killed; waitpid tells
    const ExecStub stub(registers->is_32bit(), thread.stub_tasks, policy_.cookie);
    if (registers->instruction() != stub.trap(thread.stub_at)) return false;

    const auto starting = std::move(thread.starting);
    const auto results = stub.results(*registers);
    write_text(starting->memory, thread.stub_at, std::span(thread.stub_original).first(thread.stub_size));
    // The kernel set the result of execve after we saved the registers: it is 0, as are all others at a start.
    Registers start = thread.saved;
    start.prepare_syscall(0, {});
    start.set(pid);

    auto fault = [&](std::int64_t result, std::string_view what) {
        if (result < 0) {
            starting->record.problem = fmt::format("{} ({})", what, std::strerror(static_cast<int>(-result)));
        }
    };
    starting->vector_is_set = thread.stub_tasks.set_aux_vector && results.set_aux_vector == 0;
    fault(results.set_aux_vector, "PR_SET_MM_MAP failed: /proc/PID/auxv shows the machine's own vector");
    fault(results.arm_cpuid_faulting, "CPUID faulting could not be armed: it sees the real CPUID");
    for (std::size_t i = 0; i < std::min(results.areas.size(), starting->modules.size()); ++i) {
        starting->modules[i].area = results.areas[i];
    }
    finish_start(thread, *starting, true);
    return true;
}

}  // namespace cpulevel::engine::ptrace
