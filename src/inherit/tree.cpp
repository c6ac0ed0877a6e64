#include "inherit/tree.h"

#include <set>
#include <utility>

namespace cpulevel::inherit {

void Tree::start(TaskId task, Marks marks) { images_[task] = std::make_shared<Marks>(std::move(marks)); }

void Tree::fork(TaskId parent, TaskId child) { start(child, marks(parent)); }

void Tree::share(TaskId parent, TaskId child) {
    if (!images_.contains(parent)) start(parent);
    auto image = images_.at(parent);
    images_[child] = std::move(image);
}

void Tree::prctl(TaskId task, AbiFamily abi, const AuxVector& saved) {
    if (!images_.contains(task)) start(task);
    Marks& image = *images_.at(task);
    image = after_prctl(image, abi, saved);
}

ExecOutcome Tree::exec(TaskId former, TaskId task, const ExecFacts& facts, const Imposed& imposed) {
    ExecOutcome outcome = after_exec(marks(former), facts, imposed);
    exit(former);
    start(task, outcome.marks);
    return outcome;
}

void Tree::exit(TaskId task) { images_.erase(task); }

const Marks& Tree::marks(TaskId task) const {
    static const Marks kNone;
    const auto at = images_.find(task);
    return at == images_.end() ? kNone : *at->second;
}

std::size_t Tree::images() const {
    std::set<const Marks*> distinct;
    for (const auto& [task, image] : images_) distinct.insert(image.get());
    return distinct.size();
}

}  // namespace cpulevel::inherit
