#include "cpuid/code_range.h"

#include <algorithm>

#include "cpuid/bucket_sort.h"

namespace cpulevel::cpuid {
namespace {

template <class Symbol>
void add_symbols(const ElfImage::Section& table, std::vector<CodeRange>& ranges) {
    const std::uint64_t count = table.content.size() / sizeof(Symbol);
    for (std::uint64_t index = 0; index < count; ++index) {
        const Symbol symbol = *table.content.read<Symbol>(index * sizeof(Symbol));
        const unsigned type = symbol.st_info & 0xFU;
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF || symbol.st_size == 0) continue;
        const std::uint64_t start = symbol.st_value;
        const std::uint64_t size = symbol.st_size;
        if (size <= ~std::uint64_t{0} - start) ranges.push_back({start, start + size});
    }
}

}  // namespace

void add_symbol_ranges(const ElfImage& image, std::vector<CodeRange>& ranges) {
    for (const ElfImage::Section& section : image.sections()) {
        if (section.type != SHT_SYMTAB && section.type != SHT_DYNSYM) continue;
        if (image.pointer_size() == 8) {
            add_symbols<Elf64_Sym>(section, ranges);
        } else {
            add_symbols<Elf32_Sym>(section, ranges);
        }
    }
}

namespace {

// Drops what is not code of the file. Nearly all is in the segment of the one before.
void keep_code(const ElfImage& image, std::vector<CodeRange>& ranges) {
    ElfImage::Segment segment;
    std::erase_if(ranges, [&](const CodeRange& range) {
        const std::uint64_t offset = range.start - segment.address;
        if (offset < segment.size && range.end > range.start && range.end - range.start <= segment.size - offset) return false;
        if (!image.code(range.start, range.end)) return true;
        segment = *image.segment_at(range.start);
        return false;
    });
}

// Of what the tables of a file can name, mostly; what is reserved and not used costs nothing.
std::size_t expected_ranges(const ElfImage& image) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 20U, kFrameDescription = 24;  // bytes, a short one
    std::uint64_t count = 0;
    for (const ElfImage::Section& section : image.sections()) {
        if (section.name == ".eh_frame") count += section.content.size() / kFrameDescription;
        if (section.type == SHT_SYMTAB || section.type == SHT_DYNSYM) count += section.content.size() / sizeof(Elf32_Sym);
    }
    return std::min(count, kMost);
}

}  // namespace

std::vector<CodeRange> code_ranges(const ElfImage& image) {
    std::vector<CodeRange> ranges;
    ranges.reserve(expected_ranges(image));
    add_unwind_ranges(image, ranges);
    add_symbol_ranges(image, ranges);
    add_go_ranges(image, ranges);
    for (const char* name : {".init", ".fini"}) {
        const ElfImage::Section* section = image.section(name);
        if (section != nullptr && section->content.size() <= ~std::uint64_t{0} - section->address) {
            ranges.push_back({section->address, section->address + section->content.size()});
        }
    }
    keep_code(image, ranges);
    bucket_sort(ranges, [](const CodeRange& range) { return range.start; });
    ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
    return ranges;
}

}  // namespace cpulevel::cpuid
