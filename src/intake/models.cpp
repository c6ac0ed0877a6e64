#include "intake/models.h"

#include <stdexcept>
#include <utility>

#include "profile/profile_json.h"

namespace cpulevel::intake {

// Made from data/profiles by the CMakeLists.txt of this room; ends with an empty name.
extern const std::pair<std::string_view, std::string_view> kModels[];

std::vector<std::string> model_names() {
    std::vector<std::string> names;
    for (const auto* model = kModels; !model->first.empty(); ++model) names.emplace_back(model->first);
    return names;
}

std::optional<profile::NodeProfile> find_model(std::string_view name) {
    for (const auto* model = kModels; !model->first.empty(); ++model) {
        if (model->first != name) continue;
        auto node = profile::from_json(model->second, std::string(name));
        if (!node) throw std::logic_error("a bundled profile cannot be read: " + node.error().message());
        node->name = name;
        return *std::move(node);
    }
    return std::nullopt;
}

}  // namespace cpulevel::intake
