// Where the tables of position-independent switches lead: everything that a LEA in the file names is read as a table of distances
// to code (patch_finder.h says why). Pure.
//
// The tables of a large library stand side by side, megabytes of them, and nothing in the file says where one ends. So each is read on
// through those behind it, which is quadratic: libLLVM 15 has 45 million entries to read. Most of these are passed over
// by blocks, of which the least and the greatest entry are kept: if both, taken from a table's address, lead to the same
// stretch of code without a byte that moves in it, then all between them do.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "cpuid/arrivals.h"
#include "cpuid/elf_image.h"

namespace cpulevel::cpuid {

class SwitchTables {
   public:
    explicit SwitchTables(const ElfImage& image) : image_(image) {}

    // Tables are read as far as they lead to code, and not beyond the next of `objects`; each entry costs one of `budget`. False: it
    // was not enough.
    [[nodiscard]] bool find(const Intervals& intervals, const std::set<std::uint64_t>& objects, std::uint64_t& budget,
                            const OnArrival& arrival);

   private:
    struct Extremes {
        std::int32_t least = 0, greatest = 0;
        bool known = false;
    };
    // The entries of a segment at multiples of four from its start, by blocks.
    struct Blocks {
        ElfImage::Segment segment;
        ByteView content;
        std::vector<std::vector<Extremes>> chunks;  // made when they are asked for: few parts of a file hold tables
    };
    static constexpr std::uint64_t kEntry = sizeof(std::int32_t);
    static constexpr std::uint64_t kBlock = 64 * kEntry;  // bytes
    static constexpr std::uint64_t kChunk = 1024;         // blocks

    [[nodiscard]] const std::vector<std::uint64_t>& tables(const ElfImage::Segment& code);
    [[nodiscard]] bool read(std::uint64_t table, const Intervals& intervals, const std::set<std::uint64_t>& objects,
                            std::uint64_t& budget, const OnArrival& arrival);
    [[nodiscard]] Blocks* blocks_of(const ElfImage::Segment& segment);
    [[nodiscard]] static const Extremes& extremes(Blocks& blocks, std::uint64_t offset);

    const ElfImage& image_;
    struct Named {
        std::uint64_t segment = 0;  // address
        std::vector<std::uint64_t> tables;
    };
    std::vector<Named> named_;
    std::vector<Blocks> blocks_;
};

}  // namespace cpulevel::cpuid
