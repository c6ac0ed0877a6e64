// Sorts values that are spread over a range of numbers, as functions and tables are over a file: first into buckets, then each bucket,
// which is small. std::sort alone spends its time on branches that go where the CPU did not think; a radix sort writes
// to as much memory once more, and pages that are new to a process cost more than the sorting.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace cpulevel::cpuid {

// `key`: a number for each value, in the same order as the values.
template <class T, class Key>
void bucket_sort(std::vector<T>& values, const Key& key) {
    constexpr std::size_t kFew = 64, kPerBucket = 4, kMostBuckets = std::size_t{1} << 16U;
    if (values.size() < kFew) {
        std::sort(values.begin(), values.end());
        return;
    }
    std::uint64_t least = key(values[0]), greatest = least;
    for (const T& value : values) {
        least = std::min<std::uint64_t>(least, key(value));
        greatest = std::max<std::uint64_t>(greatest, key(value));
    }
    const std::size_t count = std::min(std::bit_ceil(values.size() / kPerBucket), kMostBuckets);
    unsigned shift = 0;
    while ((greatest - least) >> shift >= count) ++shift;
    const auto bucket = [&](const T& value) { return static_cast<std::size_t>((key(value) - least) >> shift); };

    std::vector<std::size_t> ends(count), next(count);
    for (const T& value : values) ++ends[bucket(value)];
    std::size_t before = 0;
    for (std::size_t each = 0; each < count; ++each) {
        next[each] = before;
        ends[each] = before += ends[each];
    }
    std::size_t begin = 0;
    for (std::size_t each = 0; each < count; ++each) {
        while (next[each] != ends[each]) {
            T& value = values[next[each]];
            const std::size_t home = bucket(value);
            if (home == each) {
                ++next[each];
            } else {
                std::swap(value, values[next[home]++]);
            }
        }
        std::sort(values.begin() + static_cast<std::ptrdiff_t>(begin), values.begin() + static_cast<std::ptrdiff_t>(ends[each]));
        begin = ends[each];
    }
}

}  // namespace cpulevel::cpuid
