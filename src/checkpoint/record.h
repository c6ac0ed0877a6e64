// cpulevel.json: what lies beside CRIU's images in a checkpoint of a levelled tree, so that another machine can judge
// whether it may take it and put it under its level again: the level itself, the machine it comes from, what was
// dumped, and what the audit of the images found. "cpulevel/checkpoint/1" (data/schema/checkpoint.schema.json).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit.h"
#include "engine/engine.h"
#include "level/level.h"
#include "profile/node_profile.h"
#include "util/error.h"

namespace cpulevel::checkpoint {

inline constexpr std::string_view kSchema = "cpulevel/checkpoint/1";
inline constexpr char kFileName[] = "cpulevel.json";
inline constexpr std::size_t kLongestText = 8192;  // of one text in it
inline constexpr std::size_t kMostBytes = 8U << 20U;

// One levelled tree of those that were dumped. Process numbers are those that the processes have themselves (in their
// own pid namespace), as in CRIU's images: they are the same after a restore.
struct LevelledTree {
    level::Level level;
    pid_t root = 0;         // its first process
    pid_t supervisor = 0;   // that was dumped with it, and takes it up again by itself; 0: it was outside
    pid_t front = 0;        // `cpulevel run`, where the supervisor is inside
    bool portable = false;  // these two use no more of the CPU than the first x86-64 has (engine/portable.h)
    std::vector<pid_t> stopped_before;  // were stopped before we stopped all: they stay so
    std::size_t processes = 0, threads = 0;
    std::size_t cpuid_in_memory = 0;  // CPUID instructions that answer from the process's own memory
    std::size_t cpuid_traps = 0;      // that were answered by a stop, and will be again
    std::string command, cpuid_method;
    engine::Coverage coverage;
};

// Options that CRIU needs at the restore as it had them at the dump.
struct CriuOptions {
    bool shell_job = false, tcp_established = false, file_locks = false, external_unix = false;
    friend bool operator==(const CriuOptions&, const CriuOptions&) = default;
};

// What the audit of the images said, in short.
struct Audit {
    std::string target;  // the name of the level or machine that they were held against
    bool safe = true;
    std::vector<audit::Finding> findings;  // the first kMostFindings
};
inline constexpr std::size_t kMostFindings = 1000;

struct Record {
    std::string version;  // of cpulevel
    std::string created;  // UTC, "2026-11-25T20:15:00Z"
    profile::NodeProfile node;
    std::vector<LevelledTree> trees;
    CriuOptions criu;
    std::optional<Audit> audit;
};

// Keys sorted, two spaces, a closing newline: the same record is the same bytes.
[[nodiscard]] std::string to_json(const Record& record);

// `name` is how messages call the file. Strict: anything unknown, newer, absurd or contradictory is an error (usage)
// that names the place.
[[nodiscard]] Result<Record> from_json(std::string_view text, const std::string& name);

// In a folder of images. Absent: there is no such file, which is no checkpoint of a levelled tree.
[[nodiscard]] Result<std::optional<Record>> read_record(const std::string& folder);
// Whole or not at all.
[[nodiscard]] Result<void> write_record(const std::string& folder, const Record& record);

[[nodiscard]] Audit summary(const audit::Report& report);

}  // namespace cpulevel::checkpoint
