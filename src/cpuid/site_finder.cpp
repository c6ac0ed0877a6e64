#include "cpuid/site_finder.h"

#include <algorithm>
#include <array>
#include <set>

#include "cpuid/byte_search.h"
#include "cpuid/code_range.h"
#include "cpuid/decoder.h"
#include "cpuid/elf_image.h"
#include "cpuid/patch_finder.h"
#include "cpuid/range_analysis.h"

namespace cpulevel::cpuid {
namespace {

// Decoded instructions per byte of executable code before the finder gives up (see analyse()): the two decodes of
// every function need less than one, and functions are named by up to three sources.
constexpr std::uint64_t kBudgetPerByte = 4;

// Addresses in a segment where `first` stands with `second` behind it.
std::vector<std::uint64_t> find_pairs(const ElfImage::Segment& segment, std::span<const std::byte> bytes, std::byte first,
                                      std::byte second) {
    std::vector<std::uint64_t> found = find_byte_pairs(bytes, first, second);
    for (std::uint64_t& place : found) place += segment.address;
    return found;
}

// Where it pays to look for system calls that map memory: in 64-bit code the system call itself; in 32-bit code
// the number being loaded, since the system call may be in a helper.
std::vector<std::uint64_t> find_mapping_hints(const ElfImage::Segment& segment, std::span<const std::byte> bytes,
                                              CodeMode mode) {
    if (mode == CodeMode::bits64) return find_pairs(segment, bytes, std::byte{0x0F}, std::byte{0x05});
    std::vector<std::uint64_t> found;
    for (const unsigned number : {90U, 125U, 192U}) {  // mmap, mprotect, mmap2
        const auto loads = find_pairs(segment, bytes, std::byte{0xB8}, static_cast<std::byte>(number));
        found.insert(found.end(), loads.begin(), loads.end());
    }
    std::sort(found.begin(), found.end());
    return found;
}

// Linkers put constants and unwind tables into the executable segment unless told otherwise (-z separate-code). If the
// section headers say that a place holds such, it is not code, so it is nothing to decide.
bool is_data_by_section(const ElfImage& image, std::uint64_t address) {
    return std::any_of(image.sections().begin(), image.sections().end(), [&](const ElfImage::Section& section) {
        return (section.flags & SHF_ALLOC) != 0 && (section.flags & SHF_EXECINSTR) == 0 && section.address != 0 &&
               address >= section.address && address - section.address < section.content.size();
    });
}

Layout layout_of(const ElfImage& image) {
    Layout layout;
    layout.interpreter = image.interpreter();
    layout.entry = image.entry();
    if (!image.segments().empty()) layout.lowest = image.segments().front().address;
    for (const ElfImage::Segment& segment : image.segments()) {
        if (segment.executable) layout.text.push_back({segment.offset, segment.address, segment.size});
    }
    return layout;
}

class Scan {
   public:
    Scan(const ElfImage& image, std::uint64_t file_size, Decoder decoder)
        : image_(image), file_size_(file_size), decoder_(std::move(decoder)) {}

    SiteScan run() {
        result_.build_id = image_.build_id();
        result_.layout = layout_of(image_);
        for (const ElfImage::Segment& segment : image_.segments()) {
            if (segment.executable) find_candidates(segment);
        }
        // Nine of ten files have no such bytes, and where their functions are does not matter then.
        if (std::ranges::any_of(parts_, [](const Part& part) { return !part.candidates.empty() || !part.system_calls.empty(); })) {
            ranges_ = code_ranges(image_);
        }
        for (const Part& part : parts_) {
            budget_ += kBudgetPerByte * part.segment.size;
            scan_part(part);
        }
        for (const std::uint64_t call : mapping_calls_) result_.mmap_calls.push_back(place(call));
        find_all_patches();
        return std::move(result_);
    }

   private:
    // An executable segment, and where in it decoding may find something; sorted.
    struct Part {
        const ElfImage::Segment& segment;
        ByteView code;
        std::vector<std::uint64_t> candidates;
        std::vector<std::uint64_t> system_calls;
    };

    void find_candidates(const ElfImage::Segment& segment) {
        const auto code = image_.code(segment.address, segment.address + segment.size);
        if (!code) return;
        Part part{segment, *code, find_pairs(segment, code->bytes(), std::byte{0x0F}, std::byte{0xA2}), {}};
        if (image_.may_be_dynamic_loader()) part.system_calls = find_mapping_hints(segment, code->bytes(), image_.mode());
        parts_.push_back(std::move(part));
    }

    // What stands behind a site is moved where it can be; else what stands before it.
    void find_all_patches() {
        const std::array<const std::vector<Site>*, 2> all_sites{&result_.sites, &result_.mmap_calls};
        RawArrivals arrivals(image_, file_size_, all_sites);
        SwitchTables tables(image_);
        const auto ask = [&](std::span<const Site> sites, bool before, std::span<const SitePatch> taken) {
            return find_patches(decoder_,
                                {.image = image_,
                                 .arrivals = arrivals,
                                 .tables = tables,
                                 .sites = sites,
                                 .ranges = ranges_,
                                 .believed = believed_,
                                 .before = before,
                                 .taken = taken},
                                budget_);
        };
        PatchAnswer behind = ask(result_.sites, false, {});
        result_.patches = std::move(behind.patches);
        result_.unpatched = std::move(behind.unpatched);
        std::vector<Site> left;
        for (const Site& site : result_.sites) {
            const auto refused = std::ranges::lower_bound(result_.unpatched, site.file_offset, {}, &Unpatched::file_offset);
            if (refused == result_.unpatched.end() || refused->file_offset != site.file_offset) continue;
            if (refused->reason == PatchRefusal::immovable || refused->reason == PatchRefusal::branch_target) left.push_back(site);
        }
        for (const SitePatch& patch : ask(left, true, result_.patches).patches) {
            std::erase_if(result_.unpatched, [&](const Unpatched& each) { return each.file_offset == patch.site_offset(); });
            result_.patches.push_back(patch);
        }
        std::ranges::sort(result_.patches, {}, &SitePatch::site_offset);
        result_.map_call_patches = ask(result_.mmap_calls, false, result_.patches).patches;
    }

    void scan_part(const Part& part) {
        const auto& [segment, code, candidates, system_calls] = part;
        // Overlapping ranges make one stretch. Both lists are sorted, so one walk suffices.
        auto candidate = candidates.begin();
        auto system_call = system_calls.begin();
        auto first = std::lower_bound(ranges_.begin(), ranges_.end(), CodeRange{segment.address, 0});
        while (first != ranges_.end() && first->start - segment.address < segment.size) {
            auto last = first;
            std::uint64_t end = first->end;
            for (++last; last != ranges_.end() && last->start < end; ++last) end = std::max(end, last->end);
            for (; candidate != candidates.end() && *candidate < first->start; ++candidate) note_unanchored(*candidate);
            const auto inside = candidate;
            while (candidate != candidates.end() && *candidate < end) ++candidate;
            while (system_call != system_calls.end() && *system_call < first->start) ++system_call;
            const bool calls_inside = system_call != system_calls.end() && *system_call < end;
            if (inside != candidate || calls_inside) {
                examine({.code = *image_.code(first->start, end),
                         .address = first->start,
                         .segment = code,
                         .segment_address = segment.address,
                         .ranges = {first, last},
                         .candidates = {inside, candidate},
                         .want_mapping_calls = calls_inside});
            }
            first = last;
        }
        for (; candidate != candidates.end(); ++candidate) note_unanchored(*candidate);
    }

    void examine(const Stretch& stretch) {
        const StretchResult found = analyse(decoder_, image_.mode(), stretch, budget_);
        for (std::size_t index = 0; index < stretch.candidates.size(); ++index) {
            const std::uint64_t address = stretch.candidates[index];
            if (found.verdicts[index] == Verdict::site) result_.sites.push_back(place(address));
            if (found.verdicts[index] == Verdict::undecided) result_.undecided.push_back(place(address));
        }
        mapping_calls_.insert(found.mapping_calls.begin(), found.mapping_calls.end());
        believed_.insert(believed_.end(), found.believed.begin(), found.believed.end());
    }

    void note_unanchored(std::uint64_t address) {
        if (!is_data_by_section(image_, address)) result_.undecided.push_back(place(address));
    }

    [[nodiscard]] Site place(std::uint64_t address) const {
        const ElfImage::Segment* segment = image_.segment_at(address);
        return {.file_offset = segment->offset + (address - segment->address), .address = address};
    }

    const ElfImage& image_;
    std::uint64_t file_size_;
    Decoder decoder_;
    std::vector<Part> parts_;
    std::vector<CodeRange> ranges_;
    std::vector<CodeRange> believed_;  // of those that were examined
    std::uint64_t budget_ = 0;
    std::set<std::uint64_t> mapping_calls_;  // a helper's system call is found once per caller
    SiteScan result_;
};

}  // namespace

Result<SiteScan> find_sites(std::span<const std::byte> elf) {
    const auto image = ElfImage::parse(elf);
    if (!image) return std::unexpected(image.error());
    auto decoder = Decoder::open(image->mode());
    if (!decoder) return std::unexpected(decoder.error());
    return Scan(*image, elf.size(), std::move(*decoder)).run();
}

}  // namespace cpulevel::cpuid
