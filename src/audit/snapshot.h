// One process as it was found, alive or in a checkpoint: what the examination (examine.h) works on. Whoever makes one
// (live/, images.cpp) fills in what can be had; what is absent is not known.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "inherit/aux_vector.h"
#include "profile/node_profile.h"

namespace cpulevel::audit {

// The memory of a process. Addresses are the process's own.
class Memory {
   public:
    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    virtual ~Memory() = default;
    // How many bytes from `address` on could be read, up to the size of `into`; fewer at a hole.
    [[nodiscard]] virtual std::size_t read(std::uint64_t address, std::span<std::byte> into) const = 0;
};

struct Mapping {
    std::uint64_t start = 0, end = 0;  // [start, end)
    bool readable = false, writable = false, executable = false;
    std::string path;                  // empty: anonymous
};

// Components of the XSAVE area that are not in their initial state, by what they hold (xstate.h).
struct VectorState {
    std::uint64_t header = 0;   // XSTATE_BV as it was saved
    std::uint64_t in_use = 0;   // of these: not all zero; PKRU: restricts something
    std::optional<std::uint32_t> pkru;
};

struct Thread {
    pid_t tid = 0;
    bool is_32bit = false;  // runs 32-bit instructions
    std::optional<std::uint64_t> stack_pointer;
    std::optional<std::uint64_t> blocked_signals;  // bit N - 1: signal N
    std::optional<VectorState> vector_state;
    bool shadow_stack = false;
    struct AlternateStack {
        std::uint64_t address = 0, size = 0;
    };
    std::optional<AlternateStack> alternate_stack;  // absent: none, or not known
    std::optional<std::uint64_t> sve_vector_length; // arm64, bytes; while SVE state is in use
    std::optional<bool> pointer_keys;               // arm64: a key is set and enabled
    std::string unreadable;                         // why registers are missing; empty: they are not
};

struct Snapshot {
    pid_t pid = 0;
    std::string name;
    arch::Architecture architecture = arch::Architecture::x86_64;
    std::optional<inherit::AuxVector> aux_vector;
    std::vector<Mapping> mappings;   // by address, without overlaps
    std::vector<Thread> threads;
    std::unique_ptr<Memory> memory;
    bool portable = false;           // cpulevel itself, which uses no more of the CPU than the first x86-64 has (engine/portable.h)
    std::string levelled_by;         // the record of a supervisor: the level's name; empty: none found
    // Of the machine where the state was saved: where signal frames on the stack have their components.
    std::optional<profile::XsaveLayout> layout;
    bool from_images = false;
};

// The mapping that an address lies in; null if in none.
[[nodiscard]] const Mapping* mapping_of(std::span<const Mapping> mappings, std::uint64_t address);

}  // namespace cpulevel::audit
