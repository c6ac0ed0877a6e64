#include "engine/ptrace/release.h"

#include <fmt/format.h>

#include "engine/ptrace/answers.h"
#include "engine/ptrace/asking.h"
#include "engine/registry.h"

namespace cpulevel::engine::ptrace {

Result<ReleaseReport> release(pid_t pid, const LetGoOptions& options) {
    const auto tree = find_tree(pid);
    if (!tree) return std::unexpected(tree.error());
    if (!*tree) {
        const pid_t tracer = tracer_of(pid).value_or(0);
        return std::unexpected(Error{ErrorKind::refused, "this process is in no levelled tree that this user can see",
                                     std::to_string(pid), 0,
                                     tracer == 0 ? std::string{} : fmt::format("process {} traces it", tracer),
                                     "`cpulevel status` lists the trees; root sees those of all users"});
    }
    Request request{Request::Kind::let_go, options.leave_stopped,
                    static_cast<std::uint16_t>(std::chrono::duration_cast<std::chrono::seconds>(options.patience).count())};
    const auto text = ask_supervisor((*tree)->supervisor, (*tree)->owner, request);
    if (!text) return std::unexpected(text.error());
    auto report = parse_release_answer(*text);
    if (report) report->supervisor = (*tree)->supervisor;  // as we see it
    return report;
}

}  // namespace cpulevel::engine::ptrace
