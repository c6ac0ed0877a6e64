// Runs machine code with every register, the flags and the red zone set to chosen values, and shows what it left of
// them. x86-64 only.
#pragma once

#if defined(__x86_64__)

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace cpulevel::cpuid {

struct MachineState {
    // In the order of their numbers in machine code. RSP is not loaded, only shown.
    enum Register : std::uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };
    std::array<std::uint64_t, 16> registers{};
    std::uint64_t flags = 0;
    std::uint64_t padding = 0;
    std::array<std::uint64_t, 16> red_zone{};  // from RSP - 128 up
    std::array<std::array<std::uint64_t, 2>, 16> xmm{};
    friend bool operator==(const MachineState&, const MachineState&) = default;
};

// The code ends with a jump to leave_target(), at the RSP that it started with.
[[nodiscard]] MachineState run_code(std::uint64_t code, const MachineState& before);
[[nodiscard]] std::uint64_t leave_target();

// Address space for code at chosen distances; what is used is readable, writable and executable.
class Arena {
   public:
    explicit Arena(std::size_t size);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    [[nodiscard]] std::uint64_t address() const { return address_; }
    void use(std::uint64_t address, std::size_t size) const;
    static void write(std::uint64_t address, std::span<const std::byte> bytes);

   private:
    std::size_t size_;
    std::uint64_t address_ = 0;
};

}  // namespace cpulevel::cpuid

#endif
