// Branch and bound. Kinds are placed one after the other, each into a pool that has members or into the next empty one,
// so that no partition is looked at twice. Adding a node to a pool can only take features from its level: so what the
// pools have now, plus for each kind not yet placed the best that it could have in any of them (or alone, while there
// is an empty pool), is more than any completion has. Kinds that differ most come first: mistakes show early.
#include "fleet/pool_search.h"

#include <algorithm>
#include <numeric>

namespace cpulevel::fleet {
namespace {

class BranchAndBound {
   public:
    BranchAndBound(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper, std::size_t budget)
        : kinds_(kinds), wanted_(pools), grouper_(grouper), left_(budget) {
        order_by_distance();
        later_alone_.assign(kinds.size() + 1, 0);
        for (std::size_t i = kinds.size(); i-- > 0;) {
            const Kind& kind = kinds_[order_[i]];
            later_alone_[i] = later_alone_[i + 1] + kind.count * kind.alone_value;
        }
    }

    Found run() {
        if (auto start = quick_partition(kinds_, wanted_, grouper_)) {
            found_.value = value_of(*start, kinds_, grouper_);
            found_.partition = std::move(*start);
        }
        place(0, 0);
        found_.exact = !given_up_;
        found_.bound = std::max(found_.value, given_up_bound_);
        return std::move(found_);
    }

   private:
    struct Open {
        std::vector<std::size_t> members;
        Group group;
    };

    // The heaviest kind first, then always the one that costs most to be with the nearest of those before it.
    void order_by_distance() {
        const std::size_t n = kinds_.size();
        std::vector<std::uint64_t> nearest(n, ~std::uint64_t{0});
        std::vector<bool> used(n, false);
        std::size_t next = 0;
        for (std::size_t i = 0; i < n; ++i) {
            if (kinds_[i].count * kinds_[i].alone_value > kinds_[next].count * kinds_[next].alone_value) next = i;
        }
        for (std::size_t placed = 0; placed < n; ++placed) {
            used[next] = true;
            order_.push_back(next);
            const Group base = grouper_.of(kinds_[next]);
            std::size_t farthest = n;
            for (std::size_t i = 0; i < n; ++i) {
                if (used[i]) continue;
                const Group both = grouper_.with(base, kinds_[i]);
                const std::uint64_t apart = base.value() + kinds_[i].count * kinds_[i].alone_value;
                nearest[i] = std::min(nearest[i], both.admissible ? apart - both.value() : ~std::uint64_t{0});
                if (farthest == n || nearest[i] > nearest[farthest]) farthest = i;
            }
            next = farthest;
        }
    }

    [[nodiscard]] bool hopeless(std::uint64_t bound) const {
        return found_.partition && bound <= found_.value;
    }

    void place(std::size_t index, std::uint64_t value) {
        if (index == kinds_.size()) {
            if (found_.partition && value <= found_.value) return;
            found_.value = value;
            found_.partition.emplace();
            for (const Open& pool : open_) found_.partition->push_back(pool.members);
            return;
        }
        std::uint64_t bound = value + later_alone_[index];
        if (hopeless(bound)) return;
        if (left_ == 0) {
            given_up_ = true;
            given_up_bound_ = std::max(given_up_bound_, bound);
            return;
        }
        --left_;
        const Kind& kind = kinds_[order_[index]];
        std::vector<std::pair<std::uint64_t, std::size_t>> choices;  // value of all pools, pool
        std::vector<Group> joined(open_.size());
        for (std::size_t pool = 0; pool < open_.size(); ++pool) {
            joined[pool] = grouper_.with(open_[pool].group, kind);
            if (!joined[pool].admissible) continue;
            choices.emplace_back(value - open_[pool].group.value() + joined[pool].value(), pool);
        }
        if (open_.size() < wanted_) {
            const Group single = grouper_.of(kind);
            if (single.admissible) choices.emplace_back(value + single.value(), open_.size());
        } else {
            const auto later = bound_of_later(index + 1);
            if (!later) return;
            later_bound_ = *later;
        }
        const bool full = open_.size() == wanted_;
        const std::uint64_t later = full ? later_bound_ : later_alone_[index + 1];
        std::ranges::sort(choices, std::greater{});
        for (const auto& [sum, pool] : choices) {
            if (hopeless(sum + later)) continue;
            if (pool == open_.size()) {
                open_.push_back({{order_[index]}, grouper_.of(kind)});
                place(index + 1, sum);
                open_.pop_back();
                continue;
            }
            std::swap(open_[pool].group, joined[pool]);
            open_[pool].members.push_back(order_[index]);
            place(index + 1, sum);
            open_[pool].members.pop_back();
            std::swap(open_[pool].group, joined[pool]);
        }
    }

    // With no empty pool left: the best that each later kind could have in one of the pools as they are. Nothing where
    // one fits into none.
    [[nodiscard]] std::optional<std::uint64_t> bound_of_later(std::size_t index) const {
        std::uint64_t sum = 0;
        for (; index < order_.size(); ++index) {
            const Kind& kind = kinds_[order_[index]];
            std::optional<std::uint64_t> best;
            for (const Open& pool : open_) {
                const Group joined = grouper_.with(pool.group, kind);
                if (joined.admissible) best = std::max(best.value_or(0), joined.level_value);
            }
            if (!best) return std::nullopt;
            sum += kind.count * *best;
        }
        return sum;
    }

    const std::vector<Kind>& kinds_;
    std::size_t wanted_;
    const Grouper& grouper_;
    std::size_t left_;
    std::vector<std::size_t> order_;
    std::vector<std::uint64_t> later_alone_;  // of the kinds from this place on, each alone
    std::vector<Open> open_;
    std::uint64_t later_bound_ = 0;
    Found found_;
    bool given_up_ = false;
    std::uint64_t given_up_bound_ = 0;
};

}  // namespace

Found branch_and_bound(const std::vector<Kind>& kinds, std::size_t pools, const Grouper& grouper, std::size_t budget) {
    return BranchAndBound(kinds, pools, grouper, budget).run();
}

}  // namespace cpulevel::fleet
