// A process made by hand: stacks with signal frames as the kernel writes them (the structures of <asm/ucontext.h>,
// <asm/sigcontext.h>), restorers, vector state.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "audit/snapshot.h"
#include "audit/xstate.h"

namespace cpulevel::audit::test {

class FakeMemory : public Memory {
   public:
    [[nodiscard]] std::size_t read(std::uint64_t address, std::span<std::byte> into) const override {
        auto at = blocks.upper_bound(address);
        if (at == blocks.begin()) return 0;
        --at;
        const std::uint64_t offset = address - at->first;
        if (offset >= at->second.size()) return 0;
        const std::size_t size = std::min(into.size(), at->second.size() - static_cast<std::size_t>(offset));
        std::memcpy(into.data(), at->second.data() + offset, size);
        return size;
    }
    template <class T>
    void put(std::uint64_t address, const T& value) {
        auto at = std::prev(blocks.upper_bound(address));
        std::memcpy(at->second.data() + (address - at->first), &value, sizeof value);
    }
    std::map<std::uint64_t, std::vector<std::byte>> blocks;
};

inline constexpr std::uint64_t kStack = 0x7ffd00000000, kStackSize = 0x40000, kAlternate = 0x7f1000000000,
                               kAlternateSize = 0x8000, kCode = 0x401000, kRestorer = kCode + 0x100,
                               kRestorer32 = kCode + 0x200, kOldRestorer32 = kCode + 0x300;

inline profile::XsaveLayout intel() {
    profile::XsaveLayout layout;
    layout.xcr0 = 0x2e7;
    layout.xcr0_enabled = true;
    layout.components = {{2, {.size = 256, .offset = 576}}, {3, {.size = 64, .offset = 960}}, {4, {.size = 64, .offset = 1024}},
                         {5, {.size = 64, .offset = 1088}}, {6, {.size = 512, .offset = 1152}}, {7, {.size = 1024, .offset = 1664}},
                         {9, {.size = 8, .offset = 2688}}};
    layout.standard_size = layout.maximum_size = 2696;
    return layout;
}

struct FrameSpec {
    std::uint64_t address = 0;           // of the frame; (address + 8) % 16 == 0
    std::uint64_t interrupted_stack = 0;
    int signal = 10;
    std::uint64_t blocked_before = 0;
    std::uint32_t state_size = 832;      // 0: FXSAVE only
    std::uint64_t described = 7;
    std::uint64_t header = 7;
    std::uint64_t filled = 7;            // components with content
    bool siginfo = true;
    std::uint64_t alternate = 0, alternate_size = 0;
};

class Program {
   public:
    Program() {
        auto memory = std::make_unique<FakeMemory>();
        memory_ = memory.get();
        memory_->blocks[kStack] = std::vector<std::byte>(kStackSize);
        memory_->blocks[kAlternate] = std::vector<std::byte>(kAlternateSize);
        memory_->blocks[kCode] = std::vector<std::byte>(0x1000);
        put_bytes(kRestorer, {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05});
        put_bytes(kRestorer32, {0xb8, 0xad, 0, 0, 0, 0xcd, 0x80});
        put_bytes(kOldRestorer32, {0x58, 0xb8, 0x77, 0, 0, 0, 0xcd, 0x80});
        snapshot.pid = 42;
        snapshot.name = "victim";
        snapshot.memory = std::move(memory);
        snapshot.mappings = {{kCode, kCode + 0x1000, true, false, true, "/bin/victim"},
                             {kAlternate, kAlternate + kAlternateSize, true, true, false, ""},
                             {kStack, kStack + kStackSize, true, true, false, "[stack]"}};
        snapshot.layout = intel();
        Thread thread;
        thread.tid = 42;
        thread.stack_pointer = kStack + 0x100;
        thread.blocked_signals = 0;
        thread.vector_state = VectorState{.header = 3, .in_use = 3, .pkru = {}};
        snapshot.threads.push_back(thread);
    }

    void put_bytes(std::uint64_t address, std::initializer_list<unsigned> bytes) {
        for (const unsigned byte : bytes) memory_->put(address++, static_cast<unsigned char>(byte));
    }
    template <class T>
    void put(std::uint64_t address, const T& value) { memory_->put(address, value); }

    void push(const FrameSpec& spec) {
        const std::uint64_t f = spec.address;
        const std::uint64_t state = (f + 440 + 63) / 64 * 64;
        put(f, kRestorer);
        put<std::uint64_t>(f + 8, 7);  // uc_flags
        put(f + 24, spec.alternate);
        put(f + 40, spec.alternate_size);
        put(f + 168, spec.interrupted_stack);
        put<std::uint64_t>(f + 176, kCode + 0x10);
        put<std::uint64_t>(f + 184, 0x246);
        put<std::uint16_t>(f + 192, 0x33);
        put<std::uint16_t>(f + 198, 0x2b);
        put(f + 232, state);
        put(f + 304, spec.blocked_before);
        if (spec.siginfo) put(f + 312, spec.signal);
        else put(f + 312, 0x5eadbeef);
        fill_state(state, spec);
    }

    void fill_state(std::uint64_t state, const FrameSpec& spec) {
        put<std::uint32_t>(state + 24, 0x1f80);
        if (spec.state_size == 0) return;
        put<std::uint32_t>(state + 464, 0x46505853);
        put<std::uint32_t>(state + 468, spec.state_size + 4);
        put(state + 472, spec.described);
        put(state + 480, spec.state_size);
        put(state + 512, spec.header);
        put<std::uint32_t>(state + spec.state_size, 0x46505845);
        for (const auto& [number, component] : snapshot.layout->components) {
            if ((spec.filled >> number & 1U) != 0 && component.offset + component.size <= spec.state_size) {
                put<std::uint32_t>(state + component.offset, number == 9 ? 0x55555550 : 0xabcdef);
            }
        }
    }

    Snapshot snapshot;
    Thread& thread() { return snapshot.threads.front(); }

   private:
    FakeMemory* memory_ = nullptr;
};

[[nodiscard]] inline std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

}  // namespace cpulevel::audit::test
