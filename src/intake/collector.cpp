#include "intake/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_set>

#include "intake/documents.h"

namespace cpulevel::intake {
namespace {

// More kinds of texts than this are not looked for; a fleet has a few dozen (20 KB each, in each thread).
constexpr std::size_t kMostShapes = 1024;

}  // namespace

void Reader::add(Place place, std::uint32_t inner, std::uint32_t type, std::string_view name) {
    entries_.push_back({place, inner, type, names_.size(), static_cast<std::uint32_t>(name.size())});
    names_ += name;
}

void Reader::fail(Place place, Error error) {
    ++fault_count_;
    if (faults_.size() < kMostFaults) faults_.emplace_back(place, std::move(error));
    if (!shared_.keep_going_) shared_.stop_.store(true, std::memory_order_relaxed);
}

void Reader::fail_rest(Place place, Error error) {
    ++cut_count_;
    fail(place, std::move(error));
}

void Reader::read_text(Place place, std::string_view text, const std::string& name) {
    shared_.done_.fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < shapes_.size(); ++i) {
        const auto found = shapes_[i].shape.match(text);
        if (!found || found->empty()) continue;  // one without a name is called after its file
        add(place, 0, shapes_[i].type, *found);
        if (i > 0) {
            Known known = std::move(shapes_[i]);
            shapes_.erase(shapes_.begin() + static_cast<std::ptrdiff_t>(i));
            shapes_.push_front(std::move(known));
        }
        return;
    }
    Described described = nodes_of(text, name);
    for (Error& fault : described.faults) fail(place, std::move(fault));
    if (described.cut) ++cut_count_;
    std::uint32_t inner = 0;
    for (profile::NodeProfile& node : described.nodes) {
        const std::string node_name = node.name;
        const std::uint32_t type = shared_.type_of(std::move(node));
        add(place, inner++, type, node_name);
        // A profile of ours, and nothing else, can be recognised by its bytes.
        if (described.nodes.size() != 1 || text.find("\"cpulevel/profile/") == std::string_view::npos) continue;
        auto shape = fleet::Shape::learn(text);
        if (!shape || shape->match(text) != node_name) continue;
        if (shapes_.size() >= kMostShapes) shapes_.pop_back();
        shapes_.push_front({*std::move(shape), type});
    }
}

void Reader::read_node(Place place, profile::NodeProfile node) {
    const std::string name = node.name;
    add(place, 0, shared_.type_of(std::move(node)), name);
}

Reader& Collector::new_reader() { return readers_.emplace_back(*this); }

std::uint32_t Collector::type_of(profile::NodeProfile&& node) {
    std::string key = fleet::type_key(node);
    const std::lock_guard lock(mutex_);
    const auto [at, fresh] = by_key_.try_emplace(std::move(key), static_cast<std::uint32_t>(types_.size()));
    if (fresh) types_.push_back(std::move(node));
    return at->second;
}

Result<Gathered> Collector::finish(const std::function<std::string(Place)>& source_name) {
    Gathered result;
    std::vector<std::pair<Place, Error>> faults;
    for (Reader& reader : readers_) {
        std::ranges::move(reader.faults_, std::back_inserter(faults));
        result.fault_count += reader.fault_count_;
        result.cut_count += reader.cut_count_;
    }
    std::ranges::stable_sort(faults, {}, &std::pair<Place, Error>::first);
    if (!faults.empty() && !keep_going_) return std::unexpected(faults.front().second);
    for (auto& [place, error] : faults) {
        if (result.faults.size() < kMostFaults) result.faults.push_back(std::move(error));
    }

    struct Node {
        const Reader* reader;
        const Reader::Entry* entry;
    };
    std::vector<Node> order;
    for (const Reader& reader : readers_) {
        for (const Reader::Entry& entry : reader.entries_) order.push_back({&reader, &entry});
    }
    std::ranges::sort(order, {}, [](const Node& n) { return std::tuple(n.entry->place, n.entry->inner); });
    if (order.size() > kMostNodes) return usage_error("too many nodes", {}, fmt::format("more than {}", kMostNodes));

    constexpr std::uint32_t kNew = std::numeric_limits<std::uint32_t>::max();
    std::vector<std::uint32_t> renumbered(types_.size(), kNew);
    std::unordered_set<std::string_view> seen;
    seen.reserve(order.size());
    result.type_of.reserve(order.size());
    for (const Node& node : order) {
        const std::string_view name(node.reader->names_.data() + node.entry->name_at, node.entry->name_length);
        std::uint32_t& number = renumbered[node.entry->type];
        // Two nodes of one name (images cloned with their host name) must stay apart in what we tell.
        const bool again = !seen.insert(name).second;
        std::string called = again ? fmt::format("{} ({})", name, source_name(node.entry->place)) : std::string(name);
        if (number == kNew) {
            number = static_cast<std::uint32_t>(result.fleet.types.size());
            // Whichever thread came first, the type is described by its first node.
            profile::NodeProfile profile = types_[node.entry->type];
            profile.name = called;
            result.fleet.types.push_back({std::move(profile), 0, {}});
        }
        fleet::NodeType& type = result.fleet.types[number];
        ++type.count;
        type.nodes.push_back(std::move(called));
        result.type_of.push_back(number);
    }
    return result;
}

}  // namespace cpulevel::intake
