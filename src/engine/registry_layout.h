// The bytes of a tree record (see registry.h), shared by its writer and its reader.
//
// Reader and writer may be different versions of the program: `version` changes whenever a field moves, and a
// reader says that it does not know a version rather than guessing.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "engine/registry.h"

namespace cpulevel::engine::layout {

inline constexpr char kMemfdName[] = "cpulevel-tree";
inline constexpr char kLinkTarget[] = "/memfd:cpulevel-tree (deleted)";  // as /proc/PID/fd shows it
inline constexpr char kLevelMemfdName[] = "cpulevel-level";
inline constexpr char kLevelLinkTarget[] = "/memfd:cpulevel-level (deleted)";
inline constexpr std::array<char, 8> kMagic{'c', 'p', 'u', 'l', 't', 'r', 'e', 'e'};
inline constexpr std::uint32_t kVersion = 2;

// Text fields are closed by NUL; what is longer is cut.
struct Record {
    std::array<char, 8> magic{};
    std::uint32_t version = 0;
    std::int32_t pid = 0;          // of the supervisor, in its own pid namespace
    TreeCounters counters;
    TreeControl control;
    std::array<char, 256> level{};
    std::array<char, 64> engine{};
    std::array<char, 128> cpuid_method{};
    std::array<char, 1024> command{};
    std::array<char, 4096> coverage{};  // lines: state, TAB, channel, TAB, why
    std::array<char, TreeRecord::kMostAnswer + 1> answer{};  // to the last request
};
static_assert(std::is_standard_layout_v<Record>);
static_assert(sizeof(Record) == 16 + sizeof(TreeCounters) + sizeof(TreeControl) + 256 + 64 + 128 + 1024 + 4096 + 16384);

}  // namespace cpulevel::engine::layout
