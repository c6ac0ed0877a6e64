// Names of microarchitectures, one a line, as `archspec cpu` or `spack arch` print them: "skylake_avx512",
// "linux-debian12-zen3". What a name stands for is in data/targets.json. A machine has at least that, so everything else is
// unknown.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "arch/cpu_model.h"
#include "profile/import/format.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

// The name itself, or the last part of Spack's platform-system-target.
const arch::CpuModel* resolve(std::string_view word) {
    if (word.size() > 80) return nullptr;
    if (const auto* target = arch::find_target(word)) return target;
    const auto last = word.rfind('-');
    return last == std::string_view::npos ? nullptr : arch::find_target(word.substr(last + 1));
}

bool recognises(std::string_view text) {
    Lines lines(text);
    for (std::string_view line; lines.next(line) && lines.number() <= 20;) {
        if (line = trim(line); !line.empty()) return resolve(line) != nullptr;
    }
    return false;
}

constexpr std::size_t kMostNodes = 100000;

Result<std::vector<NodeProfile>> read(std::string_view text, const std::string& name) {
    std::vector<NodeProfile> profiles;
    std::map<std::string, std::size_t, std::less<>> uses;
    Lines lines(text);
    for (std::string_view line; lines.next(line);) {
        line = trim(line);
        if (line.empty()) continue;
        const auto* target = resolve(line);
        if (target == nullptr) {
            std::vector<std::string_view> known;
            for (const auto& one : arch::targets()) known.push_back(one.name);
            const auto near = nearest(line, known, 1);
            return refuse(name, lines.number(), "unknown microarchitecture \"" + printable(line, 60) + "\"",
                          near.empty() ? "" : fmt::format("did you mean \"{}\"?", near.front()));
        }
        if (profiles.size() >= kMostNodes) return refuse(name, lines.number(), "absurdly many names");
        NodeProfile profile;
        profile.name = printable(line);
        if (const auto use = ++uses[profile.name]; use > 1) profile.name += fmt::format(" ({})", use);
        profile.origin = "archspec";
        profile.architecture = target->architecture;
        profile.identity.brand = target->name;
        for (const arch::FeatureId id : target->features) profile.features.insert(id);
        profile.known = profile.features;
        profile.notes.push_back(fmt::format("made from a microarchitecture's name: at least what it stands for is there; {} "
                                            "other features, layouts, sizes and the kernel are unknown",
                                            (arch::table(profile.architecture).all() - profile.known).size()));
        profiles.push_back(std::move(profile));
    }
    if (profiles.empty()) return usage_error("cannot import", name, "no name of a microarchitecture in it");
    return profiles;
}

}  // namespace

extern const Format kArchspec{"archspec", "microarchitecture names of archspec or Spack", recognises, read};

}  // namespace cpulevel::profile::import
