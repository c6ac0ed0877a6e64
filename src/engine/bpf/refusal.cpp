#include "engine/bpf/refusal.h"

#include <vector>

#include "util/text.h"

namespace cpulevel::engine::bpf {

std::string end_of_log(const std::string& log) {
    constexpr std::size_t kLines = 3;
    std::vector<std::string> said;
    for (const std::string_view line : split(log, '\n')) {
        const std::string_view text = trim(line);
        // libbpf frames a verifier's log, and ends it with statistics.
        if (text.empty() || text.starts_with("processed ") || text.find("PROG LOAD LOG") != std::string_view::npos) continue;
        said.push_back(printable(text, 200));
    }
    if (said.size() > kLines) said.erase(said.begin(), said.end() - kLines);
    return join(said, "; ");
}

Error refusal(const RefusalFacts& facts) {
    Error error{.kind = ErrorKind::machine, .what = "the BPF engine cannot be used here", .on = {}, .errno_value = 0, .why = {}, .hint = {}};
    if (facts.bpf.works != Works::yes) {
        error.why = "needed: " + facts.bpf.missing;
        error.hint = "`cpulevel check` shows what works here (" + facts.bpf.detail +
                     "); `cpulevel run` levels programs without BPF";
        return error;
    }
    error.what = "the BPF engine could not " + facts.step;
    error.errno_value = facts.errno_value;
    error.why = end_of_log(facts.log);
    error.hint = "`cpulevel run` levels programs without BPF";
    return error;
}

Error built_without() {
    return {.kind = ErrorKind::machine, .what = "this cpulevel was built without the BPF engine", .on = {}, .errno_value = 0, .why = {},
            .hint = "build it with -DCPULEVEL_BPF=ON (needs libbpf-dev, libelf-dev, zlib1g-dev and clang), or use `cpulevel run`"};
}

}  // namespace cpulevel::engine::bpf
