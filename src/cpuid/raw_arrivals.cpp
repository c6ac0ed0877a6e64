#include "cpuid/raw_arrivals.h"

#include <algorithm>

namespace cpulevel::cpuid {
namespace {

// The interiors of all patches that a site can have: the longest with the site last, and with it first.
std::vector<Intervals::Interval> windows_around(std::span<const std::vector<Site>* const> sites) {
    std::vector<std::uint64_t> addresses;
    for (const std::vector<Site>* list : sites) {
        for (const Site& site : *list) addresses.push_back(site.address);
    }
    std::ranges::sort(addresses);
    std::vector<Intervals::Interval> windows;
    for (const std::uint64_t address : addresses) {
        const std::uint64_t begin = address - std::min<std::uint64_t>(address, SitePatch::kMostLength);
        const std::uint64_t end = address + std::min<std::uint64_t>(~address, SitePatch::kMostLength);
        if (windows.empty() || windows.back().end < begin) {
            windows.push_back({begin, end});
        } else {
            windows.back().end = end;
        }
    }
    return windows;
}

}  // namespace

RawArrivals::RawArrivals(const ElfImage& image, std::uint64_t file_size, std::span<const std::vector<Site>* const> sites)
    : image_(image), file_size_(file_size), windows_({}) {
    std::vector<Intervals::Interval> windows = windows_around(sites);
    std::size_t size = 0;
    for (const Intervals::Interval& window : windows) {
        window_starts_.push_back(size);
        window_addresses_.push_back(window.begin);
        size += window.end - window.begin;
    }
    first_.assign(size, kNever);
    windows_ = Intervals(std::move(windows));
}

std::optional<PatchRefusal> RawArrivals::refusal(const Moved& moved) {
    if (!scanned_) {
        scanned_ = true;
        too_much_ = headers_overlap();
        if (!too_much_) scan();
    }
    if (too_much_) return PatchRefusal::undecoded;
    const std::size_t window = *windows_.find(moved.interior.begin);
    const auto* const begin = first_.data() + window_starts_[window] + (moved.interior.begin - window_addresses_[window]);
    const Order raw = *std::min_element(begin, begin + (moved.interior.end - moved.interior.begin));
    const Order first = std::min(raw, first_short_arrival(moved));
    if (first == kNever) return std::nullopt;
    return first % kScans == pointers ? PatchRefusal::anchor : PatchRefusal::branch_target;
}

// The same bytes at several addresses, or scanned once for each of thousands of headers, are no linker's work.
bool RawArrivals::headers_overlap() const {
    std::uint64_t left = file_size_;
    const auto take = [&](std::uint64_t size) {
        const bool fits = size <= left;
        left -= fits ? size : 0;
        return fits;
    };
    return !std::ranges::all_of(image_.segments(), take, &ElfImage::Segment::size) ||
           !std::ranges::all_of(image_.sections(), [&](const ElfImage::Section& section) {
               return section.type != SHT_SYMTAB || take(section.content.size());
           });
}

void RawArrivals::scan() {
    Order order = 0;
    const auto note = [&](Scan scan) {
        return [this, now = order + scan](std::size_t window, std::uint64_t target) {
            Order& first = first_[window_starts_[window] + (target - window_addresses_[window])];
            first = std::min(first, now);
        };
    };
    for (const ElfImage::Segment& segment : image_.segments()) {
        if (const auto content = image_.bytes_at(segment.address)) {
            const auto bytes = content->bytes();
            find_pointers(bytes, windows_, note(pointers));
            if (segment.executable) find_long_arrivals(bytes, segment.address, windows_, note(branches));
            if (segment.executable && image_.type() == ET_EXEC) find_immediates(bytes, windows_, note(immediates));
        }
        order += kScans;
    }
    for (const ElfImage::Section& section : image_.sections()) {
        if (section.type != SHT_SYMTAB) continue;  // the only symbol table that no segment holds
        find_pointers(section.content.bytes(), windows_, note(pointers));
    }
}

RawArrivals::Order RawArrivals::first_short_arrival(const Moved& moved) const {
    Order order = short_branches;
    for (const ElfImage::Segment& segment : image_.segments()) {
        if (moved.interior.begin - segment.address < segment.size) {
            const auto content = segment.executable ? image_.bytes_at(segment.address) : std::nullopt;
            const bool arrives = content && has_short_arrival(content->bytes(), segment.address, moved.interior,
                                                              moved.known_begin, moved.known_end);
            return arrives ? order : kNever;
        }
        order += kScans;
    }
    return kNever;
}

}  // namespace cpulevel::cpuid
