// What leads to the bytes around a file's sites: one scan of the whole file (arrivals.h), however often patches are looked for.
//
// A patch moves bytes before or behind its site, at most so many; the windows of all sites together are scanned for once, and for
// each byte of a window it is kept what leads there. Pure.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "cpuid/arrivals.h"
#include "cpuid/elf_image.h"
#include "cpuid/patch.h"
#include "cpuid/site_finder.h"

namespace cpulevel::cpuid {

class RawArrivals {
   public:
    // `sites`: of any kind, in any order.
    RawArrivals(const ElfImage& image, std::uint64_t file_size, std::span<const std::vector<Site>* const> sites);

    struct Moved {
        Intervals::Interval interior;    // all but the first byte of what a patch replaces
        std::uint64_t known_begin = 0, known_end = 0;  // short branches from here are known by decoding
    };
    // Why nothing may move there; nothing if nothing leads there. `undecoded`: the file is too much to scan.
    [[nodiscard]] std::optional<PatchRefusal> refusal(const Moved& moved);

   private:
    // What leads somewhere, as the order in which the scans of all segments come: four for each of them, and those of the symbol
    // tables. The first one gives the reason.
    using Order = std::uint32_t;
    enum Scan : Order { pointers, branches, immediates, short_branches, kScans };
    static constexpr Order kNever = std::numeric_limits<Order>::max();

    [[nodiscard]] bool headers_overlap() const;
    void scan();
    [[nodiscard]] Order first_short_arrival(const Moved& moved) const;

    const ElfImage& image_;
    std::uint64_t file_size_;
    Intervals windows_;
    std::vector<std::size_t> window_starts_;  // where each window's bytes begin in first_
    std::vector<std::uint64_t> window_addresses_;
    std::vector<Order> first_;                // of each byte of the windows
    bool scanned_ = false, too_much_ = false;
};

}  // namespace cpulevel::cpuid
