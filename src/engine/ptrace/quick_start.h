// A program is started without a second stop.
//
// The few instructions that a new program runs for us (ExecStub, registers.h) end in a trap, because only then is it
// known where its areas came to lie; and the trap's place, the program's entry, has to be put back. Both can do
// without. The areas' places are chosen beforehand, in a part of the address space that is free in a new program, and
// asked for so that nothing is replaced (MAP_FIXED_NOREPLACE). What they hold is written on the stack, below what the
// program will find there, and copied from there. The code lies in the rest of the last page of the loader's text,
// which belongs to nobody and need not be put back; it ends with a jump to the entry. So jumps and areas are planned,
// text is changed, and the thread is resumed once.
//
// What goes wrong otherwise: a call can fail (the place is taken). Then the code ends in its trap after all, what was
// changed is put back, and the program starts as with ExecStub. And whoever wants to stop the thread just now must not
// leave it in there: it is led to the code's last instruction first (Supervisor::leave_quick_start()).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/ptrace/registers.h"

namespace cpulevel::engine::ptrace {

class QuickStub {
   public:
    struct Area {
        std::uint64_t address = 0;
        std::uint32_t size = 0;  // bytes; 0: none
        std::uint32_t content_size = 0;
        std::uint64_t content_at = 0;  // where its content is on the stack
    };
    struct Tasks {
        bool set_aux_vector = false;
        bool arm_cpuid_faulting = false;
        bool name_areas = false;
        std::array<Area, ExecStub::kAreas> areas{};
    };
    static constexpr std::size_t kMostCode = 440;  // bytes

    QuickStub() = default;
    // To lie at `at`, in a program that starts at `entry`. 64-bit x86 only.
    QuickStub(RemoteAddress at, RemoteAddress entry, const Tasks& tasks);
    [[nodiscard]] std::span<const std::byte> code() const { return code_.bytes(); }
    // Registers at PTRACE_EVENT_EXEC become those that start the code; `map` as for ExecStub::prepare().
    void prepare(Registers& registers, RemoteAddress map, FilterCookie cookie) const;
    [[nodiscard]] bool holds(RemoteAddress instruction) const {
        return value(instruction) >= value(at_) && value(instruction) < value(at_) + code_.size();
    }
    [[nodiscard]] RemoteAddress entry() const { return entry_; }
    [[nodiscard]] RemoteAddress last_jump() const { return at_ + jump_; }      // to the entry
    [[nodiscard]] RemoteAddress after_failure() const { return at_ + code_.size(); }  // behind its trap

   private:
    void append_area(const Area& area, bool named);
    void fail_unless_zero();  // of the flags: ZF
    CodeBytes<kMostCode> code_;
    std::size_t jump_ = 0;
    std::array<std::size_t, 8> failures_{};  // where displacements to the trap stand
    std::size_t failure_count_ = 0;
    RemoteAddress at_{}, entry_{};
};

}  // namespace cpulevel::engine::ptrace
