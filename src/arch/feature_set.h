// A set of features of one architecture, as bits indexed by FeatureId. A set does not know its architecture:
// whoever holds it (profile, level) does.
#pragma once

#include <bitset>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace cpulevel::arch {

inline constexpr std::size_t kMaximumFeatures = 768;  // the generator refuses a table with more

struct FeatureId {
    std::uint16_t value = 0;
    friend auto operator<=>(FeatureId, FeatureId) = default;
};

class FeatureSet {
   public:
    void insert(FeatureId id) { bits_.set(id.value); }
    void erase(FeatureId id) { bits_.reset(id.value); }
    [[nodiscard]] bool contains(FeatureId id) const { return bits_.test(id.value); }
    [[nodiscard]] std::size_t size() const { return bits_.count(); }
    [[nodiscard]] bool empty() const { return bits_.none(); }
    [[nodiscard]] bool is_subset_of(const FeatureSet& other) const { return (bits_ & ~other.bits_).none(); }

    FeatureSet& operator&=(const FeatureSet& other) { bits_ &= other.bits_; return *this; }
    FeatureSet& operator|=(const FeatureSet& other) { bits_ |= other.bits_; return *this; }
    FeatureSet& operator-=(const FeatureSet& other) { bits_ &= ~other.bits_; return *this; }
    friend FeatureSet operator&(FeatureSet a, const FeatureSet& b) { return a &= b; }
    friend FeatureSet operator|(FeatureSet a, const FeatureSet& b) { return a |= b; }
    friend FeatureSet operator-(FeatureSet a, const FeatureSet& b) { return a -= b; }
    friend bool operator==(const FeatureSet&, const FeatureSet&) = default;

    // Calls visit(FeatureId) for each member, in the order of the ids.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (std::size_t i = bits_._Find_first(); i < bits_.size(); i = bits_._Find_next(i)) {
            visit(FeatureId{static_cast<std::uint16_t>(i)});
        }
    }

   private:
    std::bitset<kMaximumFeatures> bits_;
};

}  // namespace cpulevel::arch
