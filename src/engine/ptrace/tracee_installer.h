// A plan carried out in a stopped tracee.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cpuid/installer.h"
#include "engine/ptrace/remote.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

class TraceeInstaller : public cpuid::Installer {
   public:
    // `memory`: /proc/PID/mem, open for both. `aside`: where what belongs into stubs is put; a new program copies it
    // itself (quick_start.h). Null: it is written at once.
    explicit TraceeInstaller(const Fd& memory, std::vector<std::byte>* aside = nullptr) : memory_(memory), aside_(aside) {}

    // The program has mapped them, by what it ran for us, or is about to.
    bool map(std::uint64_t, std::size_t) override { return true; }
    bool write_stubs(std::uint64_t at, std::vector<std::byte> bytes) override {
        if (aside_ == nullptr) return write_text(at, bytes);
        *aside_ = std::move(bytes);
        return true;
    }
    bool write_text(std::uint64_t at, std::span<const std::byte> bytes) override {
        return ptrace::write_text(memory_, RemoteAddress{at}, bytes);
    }

   private:
    const Fd& memory_;
    std::vector<std::byte>* aside_;
};

}  // namespace cpulevel::engine::ptrace
