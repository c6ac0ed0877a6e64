// A level's file that keeps the types of the nodes that it was made of, so that it can be brought up to date when nodes
// come and go, without the descriptions of all others: "cpulevel/level/2" (data/schema/level.schema.json), which is
// "cpulevel/level/1" with "types".
//
// An update costs what the change costs: a hundred thousand names are looked through where they stand in the file, and
// only the types that change have their names made and written anew. The rest of the file is copied.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/types.h"
#include "level/level.h"
#include "profile/json_reader.h"
#include "util/error.h"

namespace cpulevel::fleet {

inline constexpr std::size_t kMostKept = 1000;  // types in a file

class KeptFleet {
   public:
    explicit KeptFleet(Fleet fleet);
    // The fleet of such a file, which is read strictly. Errors: a level that keeps none.
    [[nodiscard]] static Result<KeptFleet> read(std::string text, const std::string& name);

    // As remove_nodes of change.h.
    [[nodiscard]] Result<void> remove(std::string_view names);
    // Puts the nodes of `more` in. A name that is there already is an error, and changes nothing.
    [[nodiscard]] Result<void> add(Fleet more);

    [[nodiscard]] bool empty() const { return fleet_.types.empty(); }
    [[nodiscard]] std::optional<std::size_t> type_of(std::string_view node) const;
    // The types with their counts; the names of those that no change has touched are left out.
    [[nodiscard]] const Fleet& types() const { return fleet_; }
    // With all names.
    [[nodiscard]] Fleet with_names() const;

    // The file. What is each node's own (kernel, hypervisor, notes, LIVE fields of CPUID) is left out of the types: the
    // same fleet is the same bytes, whichever of its nodes was read first. Errors: more types than fit.
    [[nodiscard]] Result<std::string> to_json(const level::Level& level) const;

   private:
    // A type as it stands in the file; nothing where it changed, or is new.
    struct Unread {
        std::vector<std::string> names;  // ranges
        std::string_view written;
        [[nodiscard]] std::vector<std::string> expanded() const;
    };
    KeptFleet() = default;
    void read_names(std::size_t type);
    void read_all_names();
    [[nodiscard]] bool is_in(std::size_t type, std::string_view node) const;

    std::unique_ptr<std::string> text_;  // its place in memory stays
    Fleet fleet_;
    std::vector<std::optional<Unread>> unread_;  // by type
};

}  // namespace cpulevel::fleet
