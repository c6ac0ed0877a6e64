#include "engine/ptrace/quick_start.h"

#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <ranges>
#include <utility>

#include "engine/ptrace/new_program.h"
#include "engine/ptrace/start_code.h"
#include "engine/ptrace/supervisor.h"
#include "engine/ptrace/tracee_installer.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::byte kTrap{0xcc}, kJump{0xe9};

// Where the area of a module may lie: under the module. The kernel may have put its own pages there, vdso and what
// belongs to it: then under those, with room for some more of them.
std::uint64_t place_below(std::uint64_t module, std::uint64_t vdso, std::uint64_t size) {
    constexpr std::uint64_t kNear = 16U << 20U;
    constexpr std::uint64_t kKernelPages = 32 * kPage;
    const bool vdso_there = vdso < module && module - vdso < kNear;
    const std::uint64_t end = vdso_there ? (vdso & ~(kPage - 1)) - kKernelPages : module;
    constexpr std::uint64_t kLowest = 64U << 10U;  // vm.mmap_min_addr
    return end > size + kLowest ? end - size : 0;
}

constexpr std::uint64_t aligned(std::uint64_t size) { return (size + 15) & ~std::uint64_t{15}; }

}  // namespace

QuickStub::QuickStub(RemoteAddress at, RemoteAddress entry, const Tasks& tasks) : at_(at), entry_(entry) {
    if (tasks.set_aux_vector) {
        code_.append({0xb8, 0x9d, 0, 0, 0,  // mov $157 (prctl), %eax
                0x0f, 0x05,           // syscall
                0x85, 0xc0});         // test %eax, %eax
        fail_unless_zero();
    }
    // Before the areas: R9 still has the filter's key (call_filter.h).
    if (tasks.arm_cpuid_faulting) {
        append_arming(code_);
        code_.append({0x85, 0xc0});  // test %eax, %eax
        fail_unless_zero();
    }
    // The last is the loader's, and the largest: where there is no room, nothing has been mapped yet.
    for (const Area& area : std::views::reverse(tasks.areas)) {
        if (area.size != 0) append_area(area, tasks.name_areas);
    }
    // As the kernel starts a program: no register has anything, nor has a flag.
    code_.append({0x31, 0xc0, 0x31, 0xc9, 0x31, 0xd2, 0x31, 0xf6, 0x31, 0xff, 0x31, 0xed,  // xor of eax to edi, ebp
            0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xdb,  // and of r8d to r11d
            0x68, 0x02, 0x02, 0,    0,                                               // push $IF
            0x9d});                                                                  // popfq
    jump_ = code_.size();
    code_.append({0xe9});
    code_.append_number(value(entry) - (value(at) + code_.size() + 4), 4);
    code_.append({0xcc});
    for (std::size_t i = 0; i < failure_count_; ++i) {
        const auto distance = static_cast<std::uint32_t>(code_.size() - 1 - (failures_[i] + 4));
        code_.replace(failures_[i], distance);
    }
}

void QuickStub::append_area(const Area& area, bool named) {
    constexpr unsigned kHowLow = MAP_PRIVATE | MAP_ANONYMOUS;
    constexpr unsigned kNoReplace = MAP_FIXED_NOREPLACE >> 16U;
    code_.append({0x48, 0xbf});  // mov $address, %rdi
    code_.append_number(area.address, 8);
    code_.append({0xbe});  // mov $size, %esi
    code_.append_number(area.size, 4);
    code_.append({0xba,       PROT_READ | PROT_WRITE,
            0,          0,
            0,  // mov $(R|W), %edx
            0x41,       0xba,
            kHowLow,    0,
            kNoReplace, 0,  // mov $how, %r10d
            0x49,       0xc7,
            0xc0,       0xff,
            0xff,       0xff,
            0xff,  // mov $-1, %r8
            0x45,       0x31,
            0xc9,  // xor %r9d, %r9d
            0xb8,       0x09,
            0,          0,
            0,                 // mov $9 (mmap), %eax
            0x0f,       0x05,  // syscall
            0x48,       0x39,
            0xf8});  // cmp %rdi, %rax
    fail_unless_zero();
    code_.append({0x48, 0x89, 0xfa,  // mov %rdi, %rdx
            0x48, 0xbe});      // mov $content, %rsi
    code_.append_number(area.content_at, 8);
    code_.append({0xb9});  // mov $its size, %ecx
    code_.append_number(area.content_size, 4);
    code_.append({0xf3, 0xa4,        // rep movsb
            0x48, 0x89, 0xd7,  // mov %rdx, %rdi
            0xbe});            // mov $size, %esi
    code_.append_number(area.size, 4);
    code_.append({0xba, PROT_READ | PROT_EXEC, 0, 0, 0,  // mov $(R|X), %edx
            0xb8, 0x0a, 0, 0, 0,                   // mov $10 (mprotect), %eax
            0x0f, 0x05,                            // syscall
            0x85, 0xc0});                          // test %eax, %eax
    fail_unless_zero();
    if (!named) return;
    code_.append({0x48, 0x89, 0xfa});  // mov %rdi, %rdx
    append_area_name(code_, area.size);
}

void QuickStub::fail_unless_zero() {
    code_.append({0x0f, 0x85});  // jne
    failures_[failure_count_++] = code_.size();
    code_.append_number(0, 4);
}

void QuickStub::prepare(Registers& registers, RemoteAddress map, FilterCookie cookie) const {
    const std::array<std::uint64_t, 6> arguments{PR_SET_MM, PR_SET_MM_MAP, value(map), sizeof(prctl_mm_map), 0, cookie};
    registers.prepare_syscall(0, arguments);
    registers.jump(at_);
    registers.raw_.rbp = value(map) + offsetof(ExecStub::Data, name);
}

// Everything at PTRACE_EVENT_EXEC. False: nothing is changed, and the program is to be started as usual.
bool Supervisor::start_quickly(Thread& thread, const Registers& registers, NewProgram& program) {
    const auto loader =
        std::ranges::find_if(program.modules, [](const CodeModule& each) { return each.loads && each.slack != 0; });
    if (loader == program.modules.end() || program.modules.size() > ExecStub::kAreas || thread.filters_suspended ||
        !program.record.problem.empty() || !program.memory.valid()) {
        return false;
    }
    constexpr std::size_t kBelowStack = 512;
    std::array<std::vector<std::byte>, ExecStub::kAreas> contents;
    QuickStub::Tasks tasks{.set_aux_vector = program.tasks.set_aux_vector,
                           .arm_cpuid_faulting = program.tasks.arm_cpuid_faulting,
                           .name_areas = program.tasks.name_areas,
                           .areas = {}};
    AddressSpace& space = *thread.space;
    PlantingCounts counts;
    const auto give_up = [&] {
        undo_installation(program.memory, space);
        for (CodeModule& module : program.modules) module.area = 0;
        return false;
    };
    for (CodeModule& module : program.modules) {
        if (module.area_size == 0) continue;
        module.area = place_below(module.below, program.vdso, module.area_size);
        if (module.area == 0) return give_up();
    }
    std::size_t size = aligned(sizeof(ExecStub::Data));
    for (std::size_t i = 0; i < program.modules.size(); ++i) {
        const CodeModule& module = program.modules[i];
        counts += planter_.install(thread.tid, program.memory, space, module, &contents[i]);
        size += aligned(contents[i].size());
    }
    const RemoteAddress data_at{(value(registers.stack()) - kBelowStack - size) & ~std::uint64_t{15}};
    std::vector<std::byte> data(size);
    const ExecStub::Data first = exec_data(program);
    std::memcpy(data.data(), &first, sizeof first);
    std::size_t at = aligned(sizeof first);
    for (std::size_t i = 0; i < program.modules.size(); ++i) {
        if (contents[i].empty()) continue;
        std::ranges::copy(contents[i], data.begin() + static_cast<std::ptrdiff_t>(at));
        tasks.areas[i] = {program.modules[i].area, static_cast<std::uint32_t>(program.modules[i].area_size),
                          static_cast<std::uint32_t>(contents[i].size()), value(data_at) + at};
        at += aligned(contents[i].size());
    }
    program.quick = QuickStub(RemoteAddress{loader->slack}, registers.instruction(), tasks);
    Registers there = registers;
    program.quick.prepare(there, data_at, policy_.cookie);
    if (program.quick.code().size() > loader->slack_size || !write_memory(thread.tid, data_at, data) ||
        !write_text(program.memory, RemoteAddress{loader->slack}, program.quick.code()) || !there.set(thread.tid)) {
        return give_up();
    }
    program.record.planting += counts;
    program.vector_is_set = tasks.set_aux_vector;
    return true;
}

void Supervisor::undo_installation(const Fd& memory, AddressSpace& space) {
    TraceeInstaller installer(memory);
    cpuid::uninstall(space.jumps, space.traps, installer);
    space.jumps.clear();
    space.traps.clear();
    space.rooms.clear();
}

// A SIGTRAP: the quick start's own?
bool Supervisor::on_quick_trap(Thread& thread) {
    auto registers = Registers::get(thread.tid);
    if (!registers || !thread.starting) return false;
    const QuickStub& quick = thread.starting->quick;
    if (thread.phase == Phase::exec_stub && registers->instruction() == quick.last_jump() + 1) {
        write_text(open_process_memory(thread.tid), quick.last_jump(), std::span(&kJump, 1));
        registers->jump(quick.entry());
        registers->set(thread.tid);
        put_start_state_back(thread, SIGTRAP);
        thread.starting.reset();
        if (thread.phase == Phase::exec_stub) thread.phase = Phase::running;
        if (thread.phase == Phase::running) resume(thread.tid, Resume::run);
        return true;
    }
    if (registers->instruction() != quick.after_failure()) return false;
    auto program = std::exchange(thread.starting, nullptr);
    program->memory = open_process_memory(thread.tid);
    program->quick = {};
    undo_installation(program->memory, *thread.space);
    for (CodeModule& module : program->modules) module.area = 0;
    log_.retract(program->record);
    program->record.planting = {};
    program->vector_is_set = false;
    Registers start = thread.saved;
    start.prepare_syscall(0, {});
    const ExecStub stub(false, program->tasks, policy_.cookie);
    if (!start_stub(thread, start, stub, *program)) {
        program->record.problem = "no code can be run in it";
        log_.exec(program->record);
        start.set(thread.tid);
        put_start_state_back(thread, SIGTRAP);
    } else {
        thread.starting = std::move(program);
    }
    resume(thread.tid, Resume::run);
    return true;
}

// A thread that stops while it may be in there. True: it goes on, and stops again when it has come to the end.
bool Supervisor::leave_quick_start(Thread& thread) {
    if (!thread.starting || thread.phase != Phase::running) return false;
    auto registers = Registers::get(thread.tid);
    const QuickStub& quick = thread.starting->quick;
    if (!registers || !quick.holds(registers->instruction())) {
        thread.starting.reset();
        return false;
    }
    if (registers->instruction() == quick.last_jump()) {
        registers->jump(quick.entry());
        registers->set(thread.tid);
        thread.starting.reset();
        return false;
    }
    write_text(open_process_memory(thread.tid), quick.last_jump(), std::span(&kTrap, 1));
    thread.phase = Phase::exec_stub;
    resume(thread.tid, Resume::run);
    return true;
}

}  // namespace cpulevel::engine::ptrace
