// Dynamic programming over subsets of kinds: the best partition of a set into at most a + b pools is the best of a
// part of it into at most a and of the rest into at most b. 3^n steps for each number of pools that is needed, and
// halving needs few of them. It takes the same time whatever the kinds are like.
#include <algorithm>
#include <bit>
#include <map>

#include "fleet/pool_search.h"

namespace cpulevel::fleet {
namespace {

using Mask = std::uint32_t;
constexpr std::int64_t kNo = -1;  // no admissible partition

class Subsets {
   public:
    Subsets(const std::vector<Kind>& kinds, const Grouper& grouper)
        : kinds_(kinds), grouper_(grouper), full_((Mask{1} << kinds.size()) - 1) {
        std::vector<std::int64_t>& single = best_[1];
        single.assign(std::size_t{full_} + 1, kNo);
        single[0] = 0;
        for (std::size_t first = 0; first < kinds.size(); ++first) fill(single, grouper.of(kinds[first]), first, Mask{1} << first);
    }

    Found run(std::size_t pools) {
        Found found;
        const std::int64_t value = pools == 1 ? best_[1][full_] : split(full_, pools).first;
        if (value == kNo) return found;
        found.value = found.bound = static_cast<std::uint64_t>(value);
        found.partition.emplace();
        collect(full_, pools, *found.partition);
        return found;
    }

   private:
    // All sets that have `mask` and further kinds above `last`.
    void fill(std::vector<std::int64_t>& single, const Group& group, std::size_t last, Mask mask) {
        if (!group.admissible) return;  // nor is any larger set
        single[mask] = static_cast<std::int64_t>(group.value());
        for (std::size_t next = last + 1; next < kinds_.size(); ++next) {
            fill(single, grouper_.with(group, kinds_[next]), next, mask | Mask{1} << next);
        }
    }

    const std::vector<std::int64_t>& best(std::size_t pools) {
        auto at = best_.find(pools);
        if (at != best_.end()) return at->second;
        // Both halves first: a reference into the map stays valid.
        (void)best(pools / 2);
        (void)best(pools - pools / 2);
        std::vector<std::int64_t> all(std::size_t{full_} + 1, kNo);
        all[0] = 0;
        for (Mask set = 1; set <= full_; ++set) all[set] = split(set, pools).first;
        return best_[pools] = std::move(all);
    }

    // The best value of the set, and the part of it that goes into pools / 2 pools.
    std::pair<std::int64_t, Mask> split(Mask set, std::size_t pools) {
        const std::vector<std::int64_t>& a = best(pools / 2);
        const std::vector<std::int64_t>& b = best(pools - pools / 2);
        const bool alike = &a == &b;
        const Mask lowest = set & (~set + 1);
        const Mask others = set ^ lowest;
        std::pair<std::int64_t, Mask> result{kNo, 0};
        const auto consider = [&](Mask part) {
            const Mask rest = set ^ part;
            if (a[part] == kNo || b[rest] == kNo) return;
            if (a[part] + b[rest] > result.first) result = {a[part] + b[rest], part};
        };
        for (Mask part = others;; part = (part - 1) & others) {
            consider(part | lowest);
            if (!alike) consider(part);
            if (part == 0) break;
        }
        return result;
    }

    void collect(Mask set, std::size_t pools, Partition& partition) {
        if (set == 0) return;
        if (pools == 1) {
            std::vector<std::size_t> members;
            for (Mask left = set; left != 0; left &= left - 1) members.push_back(static_cast<std::size_t>(std::countr_zero(left)));
            partition.push_back(std::move(members));
            return;
        }
        const Mask part = split(set, pools).second;
        collect(part, pools / 2, partition);
        collect(set ^ part, pools - pools / 2, partition);
    }

    const std::vector<Kind>& kinds_;
    const Grouper& grouper_;
    Mask full_;
    std::map<std::size_t, std::vector<std::int64_t>> best_;  // by number of pools, by set
};

}  // namespace

Found by_subsets(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper) {
    return Subsets(kinds, grouper).run(std::min(pools, kinds.size()));
}

}  // namespace cpulevel::fleet
