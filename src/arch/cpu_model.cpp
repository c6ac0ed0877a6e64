#include "arch/cpu_model.h"

#include <algorithm>

#include "arch/tables.h"

namespace cpulevel::arch {

const CpuModel* find_cpu_model(Architecture architecture, std::string_view name) {
    const auto models = cpu_models();
    const auto at = std::ranges::find_if(models, [&](const CpuModel& model) {
        return model.architecture == architecture && model.name == name;
    });
    return at == models.end() ? nullptr : &*at;
}

const CpuModel* find_target(std::string_view name) {
    const auto all = targets();
    const auto at = std::ranges::find(all, name, &CpuModel::name);
    return at == all.end() ? nullptr : &*at;
}

std::span<const CpuModel> cpu_models() { return generated::models; }
std::span<const CpuModel> targets() { return generated::targets; }

}  // namespace cpulevel::arch
