// A fleet as types of nodes. Thousands of machines are of a few dozen kinds, and a meet depends on each kind once: so
// nodes that are alike in everything that a level is made of are one type, with a count and names. What may differ
// within a type changes no level: the name, the kernel's release, the hypervisor, the numbers of the CPUs, the LIVE
// fields of CPUID (APIC ids, topology), whether CPUID faulting works, and the notes. Nothing else may.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "profile/node_profile.h"

namespace cpulevel::fleet {

struct NodeType {
    profile::NodeProfile profile;    // of the first node of this type, with that node's name
    std::size_t count = 0;           // nodes of this type
    std::vector<std::string> nodes;  // their names, in the order in which they were given; fewer than `count` where
                                     // somebody counted nodes without naming them
    // "node7", "node7 (+8,332)": what tables and messages call it; unique in a fleet whose names are.
    [[nodiscard]] std::string label() const;
};

struct Fleet {
    std::vector<NodeType> types;  // in the order of their first nodes
    [[nodiscard]] std::size_t node_count() const;
};

// All that makes the type of a node, as bytes: two nodes are of one type if and only if their keys are equal.
[[nodiscard]] std::string type_key(const profile::NodeProfile& node);

// Adds nodes one by one, or many of one type.
class FleetBuilder {
   public:
    FleetBuilder() = default;
    explicit FleetBuilder(Fleet fleet);  // adds to that one
    // Gives the number of the type.
    std::size_t add(profile::NodeProfile node);
    std::size_t add(profile::NodeProfile node, std::size_t count, std::vector<std::string> names);
    [[nodiscard]] const Fleet& fleet() const { return fleet_; }
    [[nodiscard]] Fleet take() { return std::move(fleet_); }

   private:
    Fleet fleet_;
    std::unordered_map<std::string, std::size_t> by_key_;
};

[[nodiscard]] Fleet group(std::span<const profile::NodeProfile> nodes);

// One profile for each type, named by its label: what level::meet takes.
[[nodiscard]] std::vector<profile::NodeProfile> representatives(const Fleet& fleet);

}  // namespace cpulevel::fleet
