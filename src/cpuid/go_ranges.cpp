// Go's pclntab ("program counter to line table"): a header whose magic number names the layout, then a table of
// (function start, offset of its description) sorted by start, closed by the end of the last function.
//
//   layout   from Go   header words after the first 8 bytes               table entries
//   1.2      1.2       functions; the table follows                        two pointers
//   1.16     1.16      functions, files, 4 offsets, offset of table [6]    two pointers
//   1.18     1.18      functions, files, text start [2], 4 offsets,        two 32-bit numbers, starts relative
//   1.20     1.20      offset of table [7]                                 to text start
#include "cpuid/code_range.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::uint32_t kMagic12 = 0xFFFFFFFB;
constexpr std::uint32_t kMagic116 = 0xFFFFFFFA;
constexpr std::uint32_t kMagic118 = 0xFFFFFFF0;
constexpr std::uint32_t kMagic120 = 0xFFFFFFF1;

struct FunctionTable {
    std::uint64_t count = 0;
    std::uint64_t at = 0;          // offset in the section
    unsigned number_size = 0;      // bytes of each of an entry's two numbers
    std::uint64_t text_start = 0;  // what starts are relative to
};

std::optional<std::uint64_t> read_number(ByteView view, std::uint64_t at, unsigned size) {
    if (size == 8) return view.read<std::uint64_t>(at);
    const auto value = view.read<std::uint32_t>(at);
    if (!value) return std::nullopt;
    return *value;
}

std::optional<FunctionTable> read_header(ByteView table, unsigned pointer_size) {
    const auto magic = table.read<std::uint32_t>(0);
    const auto quantum = table.read<std::uint8_t>(6);  // smallest instruction: 1 on x86
    const auto width = table.read<std::uint8_t>(7);
    if (!magic || !quantum || *quantum != 1 || !width || *width != pointer_size) return std::nullopt;
    const auto word = [&](unsigned index) { return read_number(table, 8 + std::uint64_t{index} * *width, *width); };
    const auto count = word(0);
    if (!count) return std::nullopt;
    FunctionTable result{.count = *count, .at = 8U + *width, .number_size = *width, .text_start = 0};
    if (*magic == kMagic12) return result;
    const bool relative = *magic == kMagic118 || *magic == kMagic120;
    if (*magic != kMagic116 && !relative) return std::nullopt;
    const auto at = word(relative ? 7 : 6);
    if (!at) return std::nullopt;
    result.at = *at;
    if (!relative) return result;
    const auto text_start = word(2);
    // 0: filled in by a relocation (PIE) or no longer written. Guessing it as .text's start is wrong for programs
    // with C in them, where C comes first, and a wrong guess makes every anchor wrong.
    if (!text_start || *text_start == 0) return std::nullopt;
    result.text_start = *text_start;
    result.number_size = 4;
    return result;
}

}  // namespace

void add_go_ranges(const ElfImage& image, std::vector<CodeRange>& ranges) {
    const ElfImage::Section* section = image.section(".gopclntab");
    if (section == nullptr) section = image.section(".data.rel.ro.gopclntab");
    if (section == nullptr) return;
    const ByteView view = section->content;
    const auto table = read_header(view, image.pointer_size());
    if (!table || table->at > view.size()) return;
    const std::uint64_t entry_size = std::uint64_t{2} * table->number_size;
    if (table->count > (view.size() - table->at) / entry_size) return;
    // Functions that are not in order mean that this is not the table we take it for: then none is believed.
    std::vector<CodeRange> found;
    for (std::uint64_t index = 0; index < table->count; ++index) {
        const std::uint64_t at = table->at + index * entry_size;
        const auto start = read_number(view, at, table->number_size);
        const auto end = read_number(view, at + entry_size, table->number_size);
        if (!start || !end || *end < *start || *end > ~std::uint64_t{0} - table->text_start) return;
        const CodeRange range{table->text_start + *start, table->text_start + *end};
        if (!image.code(range.start, range.end)) {
            if (range.start == range.end) continue;
            return;
        }
        found.push_back(range);
    }
    ranges.insert(ranges.end(), found.begin(), found.end());
}

}  // namespace cpulevel::cpuid
