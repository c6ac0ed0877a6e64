#include "cpuid/code_range.h"

#include <algorithm>

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

std::vector<CodeRange> code_ranges(const ElfImage& image) {
    std::vector<CodeRange> ranges;
    add_unwind_ranges(image, ranges);
    add_symbol_ranges(image, ranges);
    add_go_ranges(image, ranges);
    for (const char* name : {".init", ".fini"}) {
        const ElfImage::Section* section = image.section(name);
        if (section != nullptr && section->content.size() <= ~std::uint64_t{0} - section->address) {
            ranges.push_back({section->address, section->address + section->content.size()});
        }
    }
    std::erase_if(ranges, [&](const CodeRange& range) { return !image.code(range.start, range.end); });
    std::sort(ranges.begin(), ranges.end());
    ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
    return ranges;
}

}  // namespace cpulevel::cpuid
