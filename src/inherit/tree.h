// The rules of inheritance followed through a tree of processes: which tasks share a memory image, and what each
// image is marked with. An engine reports what it sees happen, in the order in which it happened, and carries out
// the edits that an exec returns.
//
// Marks belong to the memory image, not to the process: threads share one, a vfork child borrows its parent's until
// it execs, and a prctl by any of the sharers marks it for all. An image lives as long as a task that uses it, so
// what is kept is bounded by the tasks alive.
//
// Every event is applied whole, one after the other. So a prctl that races an exec in another thread counts either
// before it (the new program inherits all of the new words) or not at all, never in part (rule 8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "inherit/marks.h"

namespace cpulevel::inherit {

// A task (thread) as the engine names it: in the ptrace engine the thread id. Opaque here.
enum class TaskId : std::uint64_t {};

class Tree {
   public:
    // A task that nobody reported the birth of: the first of a tree, or one that was adopted with its marks.
    void start(TaskId task, Marks marks = {});
    // fork, and clone without CLONE_VM: the child's image is a copy (rule 2).
    void fork(TaskId parent, TaskId child);
    // CLONE_VM: threads, and vfork until its exec: the image is shared (rule 2).
    void share(TaskId parent, TaskId child);
    // A PR_SET_MM_AUXV, or a PR_SET_MM_MAP with a vector, that succeeded in a program of this ABI (rule 1).
    void prctl(TaskId task, AbiFamily abi, const AuxVector& saved);
    // An exec that succeeded. When a thread other than the leader execs, it takes over the leader's id: `former` is
    // the id that it had, `task` the one that it has now. Its sibling threads are gone then, but each is reported by
    // its own exit(). What the new program must be shown is in the outcome.
    ExecOutcome exec(TaskId former, TaskId task, const ExecFacts& facts, const Imposed& imposed);
    ExecOutcome exec(TaskId task, const ExecFacts& facts, const Imposed& imposed) {
        return exec(task, task, facts, imposed);
    }
    void exit(TaskId task);

    // The marks of the task's image; none for a task that was never reported.
    [[nodiscard]] const Marks& marks(TaskId task) const;
    [[nodiscard]] std::size_t tasks() const { return images_.size(); }
    [[nodiscard]] std::size_t images() const;  // distinct ones; walks over the tasks

   private:
    std::unordered_map<TaskId, std::shared_ptr<Marks>> images_;  // the sharers of an image point to the same one
};

}  // namespace cpulevel::inherit
