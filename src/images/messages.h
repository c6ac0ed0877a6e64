// The messages of CRIU's images that say something about the CPU, with the fields that are needed (criu/images/*.proto of
// CRIU 3.17 to 4.2). What a newer CRIU adds is skipped, as protocol buffers mean it; where skipping would change
// the meaning (another version of the images, an architecture or a state without a name here) it is an error or is
// kept as unknown.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arch/feature.h"
#include "util/error.h"

namespace cpulevel::images {

// inventory.img
struct Inventory {
    std::uint32_t version = 0;  // 1, 2 (format 1.1)
};
[[nodiscard]] Result<Inventory> parse_inventory(std::string_view message);

// pstree.img
struct TreeEntry {
    pid_t pid = 0, parent = 0;
    // The process's own number among them. Not looked at yet: of a process that was dead CRIU writes what it finds in memory.
    std::vector<std::uint64_t> threads;
};
[[nodiscard]] Result<TreeEntry> parse_tree_entry(std::string_view message);
[[nodiscard]] Result<pid_t> process_number(std::uint64_t value);

// core-TID.img
struct Core {
    arch::Architecture architecture = arch::Architecture::x86_64;
    bool alive = true;             // false: a zombie, without registers
    std::string name;              // of the process; only in the leader's file
    bool has_registers = false;
    bool is_32bit = false;
    std::uint64_t stack_pointer = 0;
    std::optional<std::uint64_t> blocked_signals;
    struct AlternateStack {
        std::uint64_t address = 0, size = 0;
        bool enabled = true;
    };
    std::optional<AlternateStack> alternate_stack;

    // x86. Absent: the machine had no XSAVE.
    std::optional<std::uint64_t> state_header;  // XSTATE_BV
    std::uint64_t state_in_use = 0;             // of these: not all zero; what the image has no field for counts as in use
    std::optional<std::uint32_t> pkru;
    bool shadow_stack = false;

    // arm64
    std::optional<bool> pointer_keys;  // keys are there, and one is enabled
};
[[nodiscard]] Result<Core> parse_core(std::string_view message);

// mm-PID.img
struct Area {
    std::uint64_t start = 0, end = 0;
    std::uint64_t file = 0;  // id in files.img, for mapped files
    bool is_file = false;
    bool executable = false, readable = false, writable = false;
};
struct MemoryImage {
    std::vector<std::uint64_t> aux_vector;  // words: type, value
    std::vector<Area> areas;                // by address
};
[[nodiscard]] Result<MemoryImage> parse_memory(std::string_view message);

// files.img, or reg-files.img of earlier versions (`plain`): regular files only; nothing for others
struct FileName {
    std::uint64_t id = 0;
    std::string name;
};
[[nodiscard]] Result<std::optional<FileName>> parse_file(std::string_view message, bool plain);

// pagemap-PID.img
[[nodiscard]] Result<std::uint64_t> parse_page_map_head(std::string_view message);  // N of pages-N.img
struct PageRun {
    std::uint64_t address = 0;
    std::uint64_t pages = 0;
    bool present = false;    // in this folder's pages-N.img
    bool in_parent = false;  // in the folder "parent"
};
[[nodiscard]] Result<PageRun> parse_page_run(std::string_view message);

}  // namespace cpulevel::images
