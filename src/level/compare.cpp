// What a process carries from machine to machine: the features it has found (they must be there), the sizes it has
// reserved (they must be enough for what the real XCR0 makes the CPU and the kernel write), the values that it read
// once (they must not change).
#include "level/compare.h"

#include <fmt/format.h>

#include <bit>

#include "level/feature_text.h"
#include "level/meet.h"
#include "level/meet_parts.h"
#include "level/xsave_area.h"
#include "util/text.h"

namespace cpulevel::level {
namespace {

using profile::NodeProfile;

void say_no(Answer& answer, std::string reason) {
    answer.verdict = Verdict::no;
    answer.reasons.push_back(std::move(reason));
}

void say_unknown(Answer& answer, std::string reason) {
    if (answer.verdict == Verdict::yes) answer.verdict = Verdict::unknown;
    answer.reasons.push_back(std::move(reason));
}

void merge(Answer& answer, const Answer& other) {
    if (other.verdict == Verdict::no || answer.verdict == Verdict::yes) answer.verdict = other.verdict;
    answer.missing |= other.missing;
    answer.undescribed |= other.undescribed;
    answer.reasons.insert(answer.reasons.end(), other.reasons.begin(), other.reasons.end());
    answer.cautions.insert(answer.cautions.end(), other.cautions.begin(), other.cautions.end());
}

void check_features(const arch::FeatureTable& table, const Level& level, const NodeProfile& here, Answer& answer) {
    const arch::FeatureSet all = level.features - here.features;
    // What only a kernel can use no program has found, so that none can miss it.
    arch::FeatureSet lacking;
    all.for_each([&](arch::FeatureId id) {
        if (table[id].user) lacking.insert(id);
    });
    answer.missing = lacking & here.known;
    answer.undescribed = lacking - here.known;
    if (const arch::FeatureSet kernels = (all - lacking) & here.known; !kernels.empty()) {
        answer.cautions.push_back(fmt::format("{} lacks {}: only a kernel can use that, so programs do without it",
                                              here.name, name_some(table, kernels)));
    }
    if (!answer.missing.empty()) {
        say_no(answer, fmt::format("{} lacks {}", here.name, name_some(table, answer.missing)));
    }
    if (!answer.undescribed.empty()) {
        say_unknown(answer, fmt::format("the description of {} does not say whether it has {}", here.name,
                                        name_some(table, answer.undescribed)));
    }
}

// What was promised against what XSAVE writes here; XCR0 cannot be hidden, so only the promise can be wrong.
void check_xsave(const arch::FeatureTable& table, const Level& level, const NodeProfile& here, Answer& answer) {
    if (!level.xsave) return;  // OSXSAVE hidden: nobody has sized anything
    const LevelXsave& promised = *level.xsave;
    const NodeArea area = area_of(table, here);
    if (!area.in_use) return;  // then osxsave is among the missing features
    if (area.standard == 0) {
        // A promise of the largest known area is enough for every known CPU.
        if (promised.standard_size < arch::known_maxima().xsave_area) {
            say_unknown(answer,
                        fmt::format("the level promises an XSAVE area of {} bytes; the description of {} does not "
                                    "give its size",
                                    promised.standard_size, here.name));
        }
    } else if (area.standard > promised.standard_size) {
        say_no(answer,
               fmt::format("XSAVE writes {} bytes on {}, the level promises {}: a program would write past what "
                           "it reserved",
                           area.standard, here.name, promised.standard_size));
    }
    if (promised.compacted_size != 0) {
        if (area.compacted == 0) {
            say_unknown(answer, fmt::format("the size of the compacted XSAVE area of {} is not told", here.name));
        } else if (area.compacted > promised.compacted_size) {
            say_no(answer, fmt::format("XSAVEC writes up to {} bytes on {}, the level promises {}", area.compacted,
                                       here.name, promised.compacted_size));
        }
    }
    const NodeProfile shown = as_node(level);
    for (const auto& [number, component] : promised.components) {
        const std::array<NodeProfile, 2> pair{shown, here};
        const auto conflict = layout_conflict(table, pair, number);
        if (!conflict) continue;
        if (conflict->unknown) {
            say_unknown(answer, conflict->detail);
        } else {
            say_no(answer, conflict->detail);
        }
    }
}

void check_registers(const Level& level, const NodeProfile& here, Answer& answer) {
    const auto here_value = [&](const std::string& name) -> std::optional<std::uint64_t> {
        if (const auto at = here.registers.find(name); at != here.registers.end()) return at->second;
        return name == "page_size" ? here.page_size : std::nullopt;
    };
    for (const auto& [name, value] : level.registers) {
        const auto own = here_value(name);
        if (!own) {
            say_unknown(answer, fmt::format("{} of {} is not known; the level has {:#x}", name, here.name, value));
        } else if (is_minimum_register(name)) {
            if (*own < value) {
                say_no(answer, fmt::format("{} is {} on {}, the level promises {}", name, *own, here.name, value));
            }
        } else if (const auto mask = register_mask(name); (*own & mask) != (value & mask)) {
            say_no(answer, fmt::format("{} is {:#x} on {}, {:#x} in the level", name, *own, here.name, value));
        }
    }
}

// A signal stack that the process sized by what it was promised.
void check_signal_stack(std::uint64_t promised, const NodeProfile& there, Answer& answer) {
    if (!there.minimum_signal_stack) {
        if (there.architecture != arch::Architecture::x86_64 || promised < arch::known_maxima().minimum_signal_stack) {
            say_unknown(answer, fmt::format("AT_MINSIGSTKSZ of {} is not known; the process was promised {} bytes",
                                            there.name, promised));
        }
    } else if (*there.minimum_signal_stack > promised) {
        say_no(answer, fmt::format("a signal frame takes up to {} bytes on {}, the process was promised {}",
                                   *there.minimum_signal_stack, there.name, promised));
    }
}

// Frames of threads that are in a handler right now: laid out by the real XCR0 of where they were made.
void check_frames(std::optional<std::uint64_t> made_with, const NodeProfile& there, Answer& answer) {
    if (there.architecture != arch::Architecture::x86_64) return;
    if (!made_with || !there.xsave) {
        answer.cautions.push_back(
            fmt::format("a thread that is inside a signal handler carries a frame laid out by the machine it comes "
                        "from; whether {} can "
                        "take it is not known",
                        there.name));
        return;
    }
    const std::uint64_t lost = *made_with & ~there.xsave->xcr0;
    if (lost == 0) return;
    answer.cautions.push_back(
        fmt::format("a thread that is inside a signal handler may carry XSAVE components {:#x} in its frame, which {} "
                    "does not enable: "
                    "they are lost, or the kernel kills the process when the handler returns",
                    lost, there.name));
}

bool check_architecture(arch::Architecture architecture, const NodeProfile& here, Answer& answer) {
    if (architecture == here.architecture) return true;
    say_no(answer,
           fmt::format("the level is for {}, {} is {}", name(architecture), here.name, name(here.architecture)));
    return false;
}

std::string number_or_nothing(const std::optional<std::uint64_t>& value) {
    return value ? std::to_string(*value) : std::string();
}

void compare_layouts(const NodeProfile& a, const NodeProfile& b, std::vector<ValueDifference>& values) {
    const profile::XsaveLayout none;
    const profile::XsaveLayout& left = a.xsave ? *a.xsave : none;
    const profile::XsaveLayout& right = b.xsave ? *b.xsave : none;
    const auto add = [&](std::string what, std::uint64_t x, std::uint64_t y, bool hex) {
        if (x == y) return;
        const auto text = [&](const auto& layout, std::uint64_t v) {
            if (!layout) return std::string();
            return hex ? fmt::format("{:#x}", v) : std::to_string(v);
        };
        values.push_back({std::move(what), text(a.xsave, x), text(b.xsave, y)});
    };
    add("XCR0", left.xcr0, right.xcr0, true);
    add("XSAVE area (enabled)", left.standard_size, right.standard_size, false);
    add("XSAVE area (supported)", left.maximum_size, right.maximum_size, false);
    add("XSAVE area (compacted)", left.compacted_size, right.compacted_size, false);
    for (unsigned number = kAvxComponent; number <= 62; ++number) {
        const auto x = left.components.find(number);
        const auto y = right.components.find(number);
        if (x == left.components.end() || y == right.components.end()) continue;
        add(fmt::format("XSAVE component {} offset", number), x->second.offset, y->second.offset, false);
        add(fmt::format("XSAVE component {} size", number), x->second.size, y->second.size, false);
    }
}

}  // namespace

std::string_view name(Verdict verdict) {
    switch (verdict) {
        case Verdict::yes: return "yes";
        case Verdict::no: return "no";
        case Verdict::unknown: return "unknown";
    }
    return "unknown";
}

Answer may_start(const Level& level, const NodeProfile& here) {
    Answer answer;
    if (!check_architecture(level.architecture, here, answer)) return answer;
    const auto& table = arch::table(level.architecture);
    check_features(table, level, here, answer);
    check_xsave(table, level, here, answer);
    check_registers(level, here, answer);
    return answer;
}

Result<void> check_given(const Level& level, const NodeProfile& here) {
    const Answer answer = may_start(level, here);
    if (answer.verdict != Verdict::no) return {};
    return std::unexpected(
        Error{ErrorKind::refused, "this machine cannot give the level", level.name, 0, join(answer.reasons, "; "), ""});
}

Answer may_be_restored(const Level& level, const NodeProfile& here) {
    Answer answer = may_start(level, here);
    if (level.architecture != here.architecture) return answer;
    if (level.minimum_signal_stack) check_signal_stack(*level.minimum_signal_stack, here, answer);
    check_frames(level.enabled_components, here, answer);
    return answer;
}

Answer may_move(const Level& level, const NodeProfile& here, const NodeProfile& there) {
    Answer answer = may_start(level, here);
    if (level.architecture != here.architecture) return answer;
    Answer arrival = may_start(level, there);
    if (level.architecture == there.architecture) {
        // Started here, the process was promised the larger of the level's and this machine's own value.
        const std::uint64_t promised =
            std::max(level.minimum_signal_stack.value_or(0), here.minimum_signal_stack.value_or(0));
        if (promised != 0) check_signal_stack(promised, there, arrival);
        check_frames(here.xsave ? std::optional(here.xsave->xcr0) : std::nullopt, there, arrival);
        const std::array<NodeProfile, 2> pair{here, there};
        for (const std::string& difference : unmaskable_differences(arch::table(level.architecture), pair)) {
            say_no(arrival, difference + ": programs execute it without asking");
        }
    }
    merge(answer, arrival);
    return answer;
}

Answer may_serve(const Level& from, const Level& to) {
    const NodeProfile target = as_node(to);
    Answer answer = may_start(from, target);
    if (from.architecture == to.architecture && from.minimum_signal_stack) {
        check_signal_stack(*from.minimum_signal_stack, target, answer);
    }
    return answer;
}

Difference compare(const NodeProfile& a, const NodeProfile& b) {
    Difference difference;
    difference.same_architecture = a.architecture == b.architecture;
    if (!difference.same_architecture) return difference;
    difference.both = a.features & b.features;
    const arch::FeatureSet left = a.features - b.features;
    const arch::FeatureSet right = b.features - a.features;
    difference.only_a = left & b.known;
    difference.only_b = right & a.known;
    difference.unsure = (left - b.known) | (right - a.known);

    auto& values = difference.values;
    const auto add = [&](std::string what, std::string x, std::string y) {
        if (x != y) values.push_back({std::move(what), std::move(x), std::move(y)});
    };
    add("vendor", a.identity.vendor, b.identity.vendor);
    add("model", a.identity.brand, b.identity.brand);
    if (a.architecture == arch::Architecture::x86_64) compare_layouts(a, b, values);
    add("AT_MINSIGSTKSZ", number_or_nothing(a.minimum_signal_stack), number_or_nothing(b.minimum_signal_stack));
    add("page size", number_or_nothing(a.page_size), number_or_nothing(b.page_size));
    add("AT_PLATFORM", a.platform.value_or(""), b.platform.value_or(""));
    std::map<std::string, std::pair<std::string, std::string>> registers;
    for (const auto& [name, value] : a.registers) registers[name].first = fmt::format("{:#x}", value);
    for (const auto& [name, value] : b.registers) registers[name].second = fmt::format("{:#x}", value);
    for (const auto& [name, pair] : registers) add(name, pair.first, pair.second);
    return difference;
}

}  // namespace cpulevel::level
