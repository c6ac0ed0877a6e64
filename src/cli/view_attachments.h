// What the BPF engine has attached, for `status`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/view.h"
#include "engine/bpf/attachments.h"

namespace cpulevel::cli {

[[nodiscard]] nlohmann::json attachments_json(const engine::bpf::Overview& overview);
[[nodiscard]] std::string attachments_text(const engine::bpf::Overview& overview, const View& view);

}  // namespace cpulevel::cli
