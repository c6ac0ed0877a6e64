// What a memory image's saved vector says when the image is left: how marks (inherit/marks.h, rule 1) are seen without
// watching a single system call.
//
// A program marks itself by prctl(PR_SET_MM, ...), and what counts is the vector that its image has when it is copied
// (fork) or replaced (exec). At PTRACE_EVENT_EXEC the old image is gone from the process; but a descriptor of
// /proc/PID/auxv belongs to the image that it was opened on, not to the process, and the kernel answers reads from the
// image's own record for as long as the descriptor lives (fs/proc/base.c: auxv_open() takes a reference to the mm,
// auxv_read() needs no more). So the supervisor keeps one open for each image, and reads it at the image's end: it then
// has what the kernel would have inherited, whoever set it, in whatever order (rule 8). Measured and weighed against
// call filters and PTRACE_SYSCALL in docs/decisions/006-seeing-prctl.md.
//
// A mark that changed no HWCAP word is not told from none. It has no effect either: the words are `saved & own` of this
// machine both ways.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>

#include "inherit/aux_vector.h"
#include "inherit/marks.h"
#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

struct AddressSpace;

class SavedVector {
   public:
    // Of the image that the process has now. Fails for an image that is closed to this user (not dumpable), and when
    // no more files can be opened.
    [[nodiscard]] static Result<std::shared_ptr<const SavedVector>> open(pid_t pid, inherit::WordSize size);
    // Nothing for a process that has no image any more.
    [[nodiscard]] std::optional<inherit::AuxVector> read() const;
    // A single look: are the HWCAP words these? One that is just being changed may still have them.
    [[nodiscard]] bool has(const inherit::HwcapWords& words) const;
    [[nodiscard]] inherit::WordSize word_size() const { return size_; }

   private:
    SavedVector(Fd file, inherit::WordSize size) : file_(std::move(file)), size_(size) {}
    Fd file_;
    inherit::WordSize size_;
};

[[nodiscard]] inherit::HwcapWords words_of(const inherit::AuxVector& vector);
// Remembers what the image's vector says now: what differs from that later was set by a program.
void remember_vector(AddressSpace& space);
// Brings the image's marks up to what its programs have set until now.
void take_marks(AddressSpace& space);

}  // namespace cpulevel::engine::ptrace
