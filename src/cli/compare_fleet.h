// `cpulevel compare LEVEL NODES`: which of many nodes can give a level, by type.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/view.h"
#include "fleet/types.h"
#include "level/compare.h"
#include "level/level.h"
#include "util/error.h"

namespace cpulevel::cli {

// What a type answers to each question that was asked ("start", "restore"), in this order.
struct TypeAnswers {
    std::size_t type = 0;  // number in Fleet::types
    std::vector<level::Answer> answers;
    [[nodiscard]] level::Verdict worst() const;
};

struct FleetAnswers {
    std::string level;
    std::vector<std::string> questions;
    std::vector<TypeAnswers> types;  // no first, then not known, then yes; of these those with the most nodes first
    [[nodiscard]] bool all_yes() const;
};

[[nodiscard]] FleetAnswers ask_fleet(const std::function<level::Level(const profile::NodeProfile&)>& level_for,
                                     const fleet::Fleet& fleet, const std::vector<std::string>& questions);

[[nodiscard]] std::string verdict_text(level::Verdict verdict, const View& view);
[[nodiscard]] std::string fleet_answers_text(const FleetAnswers& answers, const fleet::Fleet& fleet, const View& view);
[[nodiscard]] std::string fleet_answers_json(const FleetAnswers& answers, const fleet::Fleet& fleet);

}  // namespace cpulevel::cli
