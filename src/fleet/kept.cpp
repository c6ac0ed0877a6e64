#include "fleet/kept.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "fleet/change.h"
#include "level/level_json.h"
#include "profile/derive.h"
#include "profile/profile_json.h"
#include "util/name_ranges.h"
#include "util/text.h"

namespace cpulevel::fleet {
namespace {

constexpr std::size_t kMostNames = 10'000'000;
constexpr std::size_t kLongestNames = std::size_t{256} << 20U;  // bytes of one list of ranges
// So many names are looked up one by one, each in a pass over the file; for more it is cheaper to make all names once.
constexpr std::size_t kFew = 8;

profile::NodeProfile without_what_is_its_own(profile::NodeProfile node) {
    node.kernel.clear();
    node.hypervisor.clear();
    node.notes.clear();
    node.cpuid_faulting.reset();
    unsigned number = 0;
    for (profile::CpuGroup& group : node.cpus) {
        group.cpus = std::to_string(number++);
        group.cpuid = profile::without_live_fields(std::move(group.cpuid));
    }
    return node;
}

struct Read {
    NodeType type;  // without names
    std::vector<std::string> names;
    std::string_view text;
};

Result<Read> read_type(const profile::JsonDocument& document, const profile::JsonValue& item) {
    item.only({"count", "nodes", "profile"});
    Read read;
    read.text = item.raw();
    read.type.count = static_cast<std::size_t>(item.member("count").number(kMostNames));
    std::size_t named = 0;
    for (const profile::JsonValue& value : item.member("nodes").items(kMostNames)) {
        std::string names = value.string(kLongestNames);
        const auto count = count_in_ranges(names, kMostNames - std::min(named, kMostNames));
        if (!count) {
            value.fail(count.error().message());
            break;
        }
        named += *count;
        read.names.push_back(std::move(names));
    }
    if (read.type.count == 0 || named > read.type.count) item.fail("the count and the names contradict each other");
    auto profile = profile::read_profile(document, item.member("profile"));
    if (!profile) return std::unexpected(profile.error());
    read.type.profile = *std::move(profile);
    return read;
}

std::string indented(std::string_view text, std::size_t by) {
    std::string result;
    for (const char c : trim(text)) {
        result += c;
        if (c == '\n') result.append(by, ' ');
    }
    return result;
}

// As nlohmann's writer puts it at this depth.
std::string written(const NodeType& type) {
    std::string names;
    for (const std::string& text : to_ranges(type.nodes)) {
        names += fmt::format("{}        {}", names.empty() ? "\n" : ",\n",
                             nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    if (!names.empty()) names += "\n      ";
    return fmt::format("{{\n      \"count\": {},\n      \"nodes\": [{}],\n      \"profile\": {}\n    }}", type.count,
                       names, indented(profile::to_json(without_what_is_its_own(type.profile)), 6));
}

}  // namespace

std::vector<std::string> KeptFleet::Unread::expanded() const {
    std::vector<std::string> all;
    for (const std::string& text : names) {
        auto some = from_ranges(text, kMostNames);  // it was counted when it was read
        if (some) std::ranges::move(*some, std::back_inserter(all));
    }
    return all;
}

KeptFleet::KeptFleet(Fleet fleet) : fleet_(std::move(fleet)), unread_(fleet_.types.size()) {}

Result<KeptFleet> KeptFleet::read(std::string text, const std::string& name) {
    KeptFleet kept;
    kept.text_ = std::make_unique<std::string>(std::move(text));
    const auto document = level::parse_level_document(*kept.text_, name);
    if (!document) return std::unexpected(document.error());
    const auto level = level::read_level(**document, (*document)->root());
    if (!level) return std::unexpected(level.error());
    const auto types = (*document)->root().maybe("types");
    if (!types) {
        return usage_error("the level cannot be brought up to date", name,
                           "it does not keep the nodes that it was made of",
                           "make it with cpulevel baseline --updatable");
    }
    constexpr const char* kHint =
        "the file was edited or damaged; make the level again with cpulevel baseline --updatable";
    const auto items = types->items(kMostKept);
    if (items.empty()) types->fail(fmt::format("there are 1 to {} types", kMostKept), kHint);
    FleetBuilder builder;
    for (const profile::JsonValue& item : items) {
        auto one = read_type(**document, item);
        if (!one) return std::unexpected(one.error());
        if (one->type.profile.architecture != level->architecture)
            item.fail("another architecture than the level's", kHint);
        const std::size_t before = kept.unread_.size();
        const std::size_t type = builder.add(std::move(one->type.profile), one->type.count, {});
        if (type != before) {
            item.fail(fmt::format("the same type as types[{}]", type), kHint);
            break;
        }
        kept.unread_.emplace_back(Unread{std::move(one->names), one->text});
    }
    if (auto good = (*document)->verdict(); !good) return std::unexpected(good.error());
    kept.fleet_ = builder.take();
    return kept;
}

void KeptFleet::read_names(std::size_t type) {
    if (!unread_[type]) return;
    std::vector<std::string> names = unread_[type]->expanded();
    NodeType& one = fleet_.types[type];
    one.nodes.insert(one.nodes.begin(), std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
    unread_[type].reset();
}

void KeptFleet::read_all_names() {
    for (std::size_t type = 0; type < unread_.size(); ++type) read_names(type);
}

bool KeptFleet::is_in(std::size_t type, std::string_view node) const {
    if (std::ranges::find(fleet_.types[type].nodes, node) != fleet_.types[type].nodes.end()) return true;
    return unread_[type] &&
           std::ranges::any_of(unread_[type]->names, [&](const std::string& text) { return is_in_ranges(text, node); });
}

std::optional<std::size_t> KeptFleet::type_of(std::string_view node) const {
    for (std::size_t type = 0; type < fleet_.types.size(); ++type) {
        if (is_in(type, node)) return type;
    }
    return std::nullopt;
}

Result<void> KeptFleet::remove(std::string_view names) {
    // A name may look like a range.
    Result<std::vector<std::string>> wanted = std::vector{std::string(names)};
    if (!type_of(names)) wanted = from_ranges(names, kMostNames);
    if (!wanted) return std::unexpected(wanted.error());
    bool all = wanted->size() > kFew;
    std::vector<std::size_t> touched;
    for (std::size_t i = 0; i < wanted->size() && !all; ++i) {
        const auto type = type_of((*wanted)[i]);
        all = !type;  // for "did you mean"
        if (type) touched.push_back(*type);
    }
    if (all) {
        touched.resize(fleet_.types.size());
        for (std::size_t type = 0; type < touched.size(); ++type) touched[type] = type;
    }
    std::ranges::sort(touched);
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    Fleet part;
    for (const std::size_t type : touched) {
        read_names(type);
        part.types.push_back(std::move(fleet_.types[type]));
    }
    const auto removed = take_out(part, names);
    for (std::size_t i = 0; i < touched.size(); ++i) fleet_.types[touched[i]] = std::move(part.types[i]);
    if (!removed) return removed;
    for (std::size_t type = unread_.size(); type-- > 0;) {
        if (fleet_.types[type].count > 0) continue;
        fleet_.types.erase(fleet_.types.begin() + static_cast<std::ptrdiff_t>(type));
        unread_.erase(unread_.begin() + static_cast<std::ptrdiff_t>(type));
    }
    return {};
}

Result<void> KeptFleet::add(Fleet more) {
    std::unordered_set<std::string_view> known;
    const bool few = more.node_count() <= kFew;
    if (!few) {
        read_all_names();
        for (const NodeType& type : fleet_.types) known.insert(type.nodes.begin(), type.nodes.end());
    }
    for (const NodeType& type : more.types) {
        for (const std::string& name : type.nodes) {
            if (few ? !type_of(name) : !known.contains(name)) continue;
            return usage_error("a node of that name is there already", printable(name), {},
                               "remove it first, if its description is new: --remove NAME");
        }
    }
    FleetBuilder builder(std::move(fleet_));
    std::vector<std::size_t> touched;
    for (NodeType& type : more.types)
        touched.push_back(builder.add(std::move(type.profile), type.count, std::move(type.nodes)));
    fleet_ = builder.take();
    unread_.resize(fleet_.types.size());
    for (const std::size_t type : touched) read_names(type);
    return {};
}

Fleet KeptFleet::with_names() const {
    Fleet fleet = fleet_;
    for (std::size_t type = 0; type < unread_.size(); ++type) {
        if (unread_[type]) fleet.types[type].nodes = unread_[type]->expanded();
    }
    return fleet;
}

Result<std::string> KeptFleet::to_json(const level::Level& level) const {
    if (fleet_.types.size() > kMostKept) {
        return usage_error("the level cannot keep its node types", {},
                           fmt::format("there are {}, at most {} fit into its file", fleet_.types.size(), kMostKept),
                           "make it without --updatable, from all nodes each time");
    }
    std::string types;
    for (std::size_t type = 0; type < fleet_.types.size(); ++type) {
        types += types.empty() ? "[\n    " : ",\n    ";
        if (unread_[type]) {
            types += unread_[type]->written;
        } else {
            types += written(fleet_.types[type]);
        }
    }
    return level::to_json(level, types + "\n  ]");
}

}  // namespace cpulevel::fleet
