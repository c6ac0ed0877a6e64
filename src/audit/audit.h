// Safe to move? What a running process, a tree of processes or a checkpoint (CRIU images) depends on, held against where it
// is to go: a level (any machine of it) or one machine's profile. Findings are data; nothing is printed here.
//
// A process is looked at from outside and left as it was: its memory through /proc, its registers while all of its threads
// are stopped for some milliseconds (PTRACE_SEIZE, PTRACE_INTERRUPT). One that is traced already, as each process of a
// levelled tree is by its supervisor, is not stopped: less can be known of it. A checkpoint is read from its files.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "audit/target.h"
#include "util/error.h"

namespace cpulevel::audit {

enum class Kind : std::uint8_t {
    architecture,        // the images or the process are of another architecture
    handler_frame,       // a thread is inside a signal handler, with a frame that the target cannot take
    vector_state,        // registers hold state that the target has not (AVX, AVX-512, AMX, MPX, ...)
    protection_keys,     // PKRU restricts memory and the target has no protection keys
    shadow_stack,        // a shadow stack is on, and the target has none or the checkpoint does not carry it
    started_beyond,      // it was started unlevelled, or by a bigger level: it knows of features that the target lacks
    resolver_area,       // its ld.so saves registers into a buffer that is too small on the target (lazy binding)
    signal_stack,        // an alternate signal stack, or what it was promised about one, is too small for the target
    hwcaps_library,      // a library of a higher level (glibc-hwcaps) is mapped
    tile_permission,     // AMX: may use tile data, which no checkpoint carries
    vector_length,       // arm64: SVE or SME vector length beyond the target's
    pointer_keys,        // arm64: pointer authentication in use, which the target lacks
    unreadable,          // some part could not be looked at
};
[[nodiscard]] std::string_view name(Kind kind);  // "handler_frame": as JSON has it

enum class Severity : std::uint8_t {
    note,     // true, worth knowing, no reason against the move
    unknown,  // could not be found out; counts as not safe
    unsafe,   // a reason against the move
};
[[nodiscard]] std::string_view name(Severity severity);

// Of what was seen, not of what will happen.
enum class Certainty : std::uint8_t {
    likely,   // by appearance: bytes on a stack that look like a frame in every detail, but may be left over from an old one
    certain,
};
[[nodiscard]] std::string_view name(Certainty certainty);

struct Finding {
    Kind kind = Kind::unreadable;
    Severity severity = Severity::unsafe;
    Certainty certainty = Certainty::certain;
    pid_t pid = 0;        // as the reader sees it; in images: inside of the dumped tree
    pid_t thread = 0;     // 0: the whole process
    std::string process;  // name (comm); text of another process: print it with util's printable()
    std::string what;     // "is inside a signal handler (SIGALRM)"
    std::string why;      // what would happen there, with numbers
    std::string advice;   // what to do about it
    // Goes away by itself when the thread leaves the handler: waiting helps (wait_until_out_of_handlers()).
    bool passes = false;
};

// What was looked at, so that "nothing found" can be told from "nothing looked at".
struct Examined {
    pid_t pid = 0;
    std::string process;
    std::size_t threads = 0;
    std::string shown;     // what it was shown, and how that is known: "glibc's record: x86-64-v2 and 3 more features"
    std::size_t handlers = 0;  // signal frames found, also those that the target can take
};

struct Report {
    std::string subject;  // "process 4711 and 3 below it", the folder of the images
    std::string target;   // name of the level or machine
    std::vector<Examined> processes;
    std::vector<Finding> findings;  // by pid, thread, kind

    [[nodiscard]] bool safe() const;        // nothing unsafe, nothing unknown
    [[nodiscard]] bool waiting_helps() const;  // not safe, and all that is against it passes by itself
};

// "cpulevel/audit/1" (docs/audit.md).
[[nodiscard]] nlohmann::json to_json(const Report& report);

struct ProcessOptions {
    bool tree = true;  // also all processes below it
};

// Errors: no such process (usage), not allowed to look at it (machine).
[[nodiscard]] Result<Report> audit_process(pid_t pid, const Target& target, const ProcessOptions& options = {});

// A folder of CRIU images. `portable`: processes in it that are cpulevel's own, started so that they use no more of the CPU than the first
// x86-64 has; images cannot tell. Errors (usage): not a checkpoint, damaged, newer than this version can know.
[[nodiscard]] Result<Report> audit_images(const std::string& folder, const Target& target, std::span<const pid_t> portable = {});

// Waits until no thread of the tree is in a handler whose frame the target cannot take; then the report of that moment
// (which may hold other findings). Waits by events: the system call that ends a handler. `timeout` over: the last report,
// with the findings that are still there. A new signal may arrive right after: look at the images too, after the dump.
[[nodiscard]] Result<Report> wait_until_out_of_handlers(pid_t pid, const Target& target, std::chrono::milliseconds timeout,
                                                        const ProcessOptions& options = {});

}  // namespace cpulevel::audit
