#include "checkpoint/judgement.h"

#include <fmt/format.h>

#include "level/compare.h"
#include "profile/probe.h"
#include "util/text.h"

namespace cpulevel::checkpoint {

namespace {

constexpr std::size_t kMostSentences = 12;  // of an error: the rest is counted

std::string sentence(const audit::Finding& finding) {
    std::string who = fmt::format("{} {}", printable(finding.process, 32), finding.pid);
    if (finding.thread != 0 && finding.thread != finding.pid) who += fmt::format(", thread {}", finding.thread);
    std::string text = who + " " + printable(finding.what, 400);
    if (finding.severity == audit::Severity::unknown) text = "not known: " + text;
    return finding.why.empty() ? text : text + " (" + printable(finding.why, 400) + ")";
}

}  // namespace

Judgement judgement_of(const audit::Report& report) {
    Judgement judgement;
    for (const audit::Finding& finding : report.findings) {
        (finding.severity == audit::Severity::note ? judgement.cautions : judgement.against)
            .push_back(sentence(finding));
    }
    return judgement;
}

Result<audit::Report> audit_images(const Record& record, const std::string& folder, const audit::Target& target) {
    std::vector<pid_t> portable;
    for (const LevelledTree& tree : record.trees) {
        if (tree.portable && tree.supervisor != 0) portable.insert(portable.end(), {tree.supervisor, tree.front});
    }
    return audit::audit_images(folder, target, portable);
}

Result<Judgement> may_come_here(const Record& record, const std::string& folder) {
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    Judgement all;
    for (const LevelledTree& tree : record.trees) {
        const level::Answer answer = level::may_be_restored(tree.level, *here);
        const std::string start = fmt::format("level {}: ", printable(tree.level.name, 80));
        for (const std::string& reason : answer.reasons) all.against.push_back(start + reason);
        // Its cautions are about signal handlers that threads may be inside of: the images tell whether any is.
    }
    const auto report = audit_images(record, folder, audit::target_of(*here));
    if (!report) return std::unexpected(report.error());
    const Judgement images = judgement_of(*report);
    all.against.insert(all.against.end(), images.against.begin(), images.against.end());
    all.cautions.insert(all.cautions.end(), images.cautions.begin(), images.cautions.end());
    return all;
}

Error refusal(const std::string& what, const std::string& on, const Judgement& judgement, const std::string& hint) {
    std::vector<std::string> sentences = judgement.against;
    if (sentences.size() > kMostSentences) {
        const std::size_t more = sentences.size() - kMostSentences;
        sentences.resize(kMostSentences);
        sentences.push_back(fmt::format("and {} more", more));
    }
    return {ErrorKind::refused, what, on, 0, join(sentences, "; "), hint};
}

}  // namespace cpulevel::checkpoint
