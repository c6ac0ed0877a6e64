#include "engine/process_family.h"

#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "util/proc_status.h"
#include "util/text.h"

namespace cpulevel::engine {

std::vector<pid_t> family_of(std::span<const pid_t> roots, std::span<const ProcessParent> all) {
    std::unordered_map<pid_t, std::vector<pid_t>> children;
    std::unordered_set<pid_t> exist;
    for (const ProcessParent& entry : all) {
        children[entry.parent].push_back(entry.process);
        exist.insert(entry.process);
    }
    std::vector<pid_t> family;
    std::unordered_set<pid_t> known;
    for (const pid_t root : roots) {
        if (exist.contains(root) && known.insert(root).second) family.push_back(root);
    }
    for (std::size_t i = 0; i < family.size(); ++i) {
        const auto found = children.find(family[i]);
        if (found == children.end()) continue;
        for (const pid_t child : found->second) {
            if (known.insert(child).second) family.push_back(child);
        }
    }
    return family;
}

pid_t own_number(std::string_view status, pid_t seen_as) {
    const std::string_view own = last_word(status_field(status, "NSpid"));
    if (own.empty()) return seen_as;
    const auto number = parse_decimal(own);
    return number && *number <= std::numeric_limits<pid_t>::max() ? static_cast<pid_t>(*number) : 0;
}

}  // namespace cpulevel::engine
