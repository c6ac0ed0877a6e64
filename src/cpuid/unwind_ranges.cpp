// .eh_frame: a list of records, each a CIE (what a group of functions has in common) or an FDE (one function, naming
// its CIE by distance). How addresses are written is in the CIE's augmentation, so both have to be read. The
// section is found through its search table's header (PT_GNU_EH_FRAME), which survives strip, or else by name.
#include <map>

#include "cpuid/code_range.h"

namespace cpulevel::cpuid {
namespace {

// DW_EH_PE_ pointer encodings (LSB 5.0, 10.5): the low four bits are the format, the next three what it is relative to.
constexpr unsigned kAbsolutePointer = 0x00;
constexpr unsigned kUnsigned2 = 0x02;
constexpr unsigned kUnsigned4 = 0x03;
constexpr unsigned kUnsigned8 = 0x04;
constexpr unsigned kSigned2 = 0x0A;
constexpr unsigned kSigned4 = 0x0B;
constexpr unsigned kSigned8 = 0x0C;
constexpr unsigned kRelativeToPlace = 0x10;

class Cursor {
   public:
    Cursor(ByteView view, std::uint64_t at) : view_(view), at_(at) {}
    [[nodiscard]] std::uint64_t at() const { return at_; }

    template <class T>
    std::optional<T> take() {
        const auto value = view_.read<T>(at_);
        if (value) at_ += sizeof(T);
        return value;
    }

    std::optional<std::uint64_t> take_leb128() {  // unsigned; a signed one is as long, and we only skip those
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = take<std::uint8_t>();
            if (!byte) return std::nullopt;
            value |= std::uint64_t{*byte & 0x7FU} << shift;
            if ((*byte & 0x80U) == 0) return value;
        }
        return std::nullopt;
    }

    std::optional<std::string_view> take_text() {
        const auto text = view_.text(at_);
        if (text) at_ += text->size() + 1;
        return text;
    }

    // The value of an encoded pointer, without what it is relative to.
    std::optional<std::uint64_t> take_encoded(unsigned encoding, unsigned pointer_size) {
        switch (encoding & 0x0FU) {
            case kAbsolutePointer: return pointer_size == 8 ? widen(take<std::uint64_t>()) : widen(take<std::uint32_t>());
            case kUnsigned2: return widen(take<std::uint16_t>());
            case kUnsigned4: return widen(take<std::uint32_t>());
            case kUnsigned8: return widen(take<std::uint64_t>());
            case kSigned2: return widen(take<std::int16_t>());
            case kSigned4: return widen(take<std::int32_t>());
            case kSigned8: return widen(take<std::int64_t>());
            default: return std::nullopt;
        }
    }

   private:
    template <class T>
    static std::optional<std::uint64_t> widen(std::optional<T> value) {
        if (!value) return std::nullopt;
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(*value));
    }

    ByteView view_;
    std::uint64_t at_;
};

struct UnwindSection {
    ByteView content;
    std::uint64_t address = 0;
};

std::optional<UnwindSection> find_unwind_section(const ElfImage& image) {
    if (const ElfImage::Section* section = image.section(".eh_frame")) {
        return UnwindSection{section->content, section->address};
    }
    const auto header_address = image.unwind_header_address();
    if (!header_address) return std::nullopt;
    const auto header = image.bytes_at(*header_address);
    if (!header) return std::nullopt;
    // version 1; encodings of the pointer to .eh_frame, of the table's count and of its entries; that pointer.
    const auto version = header->read<std::uint8_t>(0);
    const auto encoding = header->read<std::uint8_t>(1);
    if (!version || *version != 1 || !encoding || *encoding != (kRelativeToPlace | kSigned4)) return std::nullopt;
    const auto distance = header->read<std::int32_t>(4);
    if (!distance) return std::nullopt;
    std::uint64_t address = *header_address + 4 + static_cast<std::uint64_t>(std::int64_t{*distance});
    if (image.pointer_size() == 4) address &= 0xFFFFFFFFU;
    const auto content = image.bytes_at(address);
    if (!content) return std::nullopt;
    return UnwindSection{*content, address};
}

// How the FDEs of a CIE write addresses; nothing if its FDEs cannot be used as anchors.
std::optional<unsigned> read_cie(ByteView record, std::uint64_t after_id, unsigned pointer_size) {
    Cursor cursor(record, after_id);
    const auto version = cursor.take<std::uint8_t>();
    const auto augmentation = cursor.take_text();
    if (!version || !augmentation || (*version != 1 && *version != 3 && *version != 4)) return std::nullopt;
    if (*version == 4 && (!cursor.take<std::uint8_t>() || !cursor.take<std::uint8_t>())) return std::nullopt;
    if (!cursor.take_leb128() || !cursor.take_leb128()) return std::nullopt;  // code and data alignment
    if (*version == 1 ? !cursor.take<std::uint8_t>() : !cursor.take_leb128()) return std::nullopt;  // return register
    if (augmentation->empty()) return kAbsolutePointer;
    if (augmentation->front() != 'z' || !cursor.take_leb128()) return std::nullopt;
    unsigned encoding = kAbsolutePointer;
    for (const char letter : augmentation->substr(1)) {
        switch (letter) {
            case 'R': {
                const auto value = cursor.take<std::uint8_t>();
                if (!value) return std::nullopt;
                encoding = *value;
                break;
            }
            case 'L':
                if (!cursor.take<std::uint8_t>()) return std::nullopt;
                break;
            case 'P': {
                const auto personality = cursor.take<std::uint8_t>();
                if (!personality || !cursor.take_encoded(*personality, pointer_size)) return std::nullopt;
                break;
            }
            case 'B': break;
            default: return std::nullopt;  // 'S' (signal trampoline) and what we do not know
        }
    }
    return encoding;
}

}  // namespace

void add_unwind_ranges(const ElfImage& image, std::vector<CodeRange>& ranges) {
    const auto section = find_unwind_section(image);
    if (!section) return;
    const ByteView frames = section->content;
    const unsigned pointer_size = image.pointer_size();
    const std::uint64_t mask = pointer_size == 8 ? ~std::uint64_t{0} : std::uint64_t{0xFFFFFFFF};
    std::map<std::uint64_t, std::optional<unsigned>> encodings;  // by the CIE's offset
    auto cie = encodings.end();                                  // of the last FDE: the next one's, mostly

    std::uint64_t next = 0;
    for (;;) {
        const std::uint64_t record_at = next;
        Cursor cursor(frames, record_at);
        const auto short_length = cursor.take<std::uint32_t>();
        if (!short_length || *short_length == 0) return;  // the end, or a terminator
        std::uint64_t length = *short_length;
        if (*short_length == 0xFFFFFFFFU) {
            const auto long_length = cursor.take<std::uint64_t>();
            if (!long_length) return;
            length = *long_length;
        }
        const std::uint64_t id_at = cursor.at();
        if (length > frames.size() - id_at) return;  // what stands before was sound and stays
        next = id_at + length;
        const auto record = frames.part(0, next);
        const auto id = cursor.take<std::uint32_t>();
        if (!record || !id) return;
        if (*id == 0) {
            encodings[record_at] = read_cie(*record, cursor.at(), pointer_size);
            continue;
        }
        if (*id > id_at) continue;
        if (cie == encodings.end() || cie->first != id_at - *id) cie = encodings.find(id_at - *id);
        if (cie == encodings.end() || !cie->second) continue;
        const unsigned encoding = *cie->second;
        const unsigned relative = encoding & 0xF0U;
        // An absolute address is right only where nothing relocates it.
        if (relative != kRelativeToPlace && (relative != 0 || image.type() != ET_EXEC)) continue;
        Cursor fields(*record, cursor.at());
        const std::uint64_t start_at = section->address + fields.at();
        const auto start = fields.take_encoded(encoding, pointer_size);
        const auto size = fields.take_encoded(encoding & 0x0FU, pointer_size);
        if (!start || !size) continue;
        const std::uint64_t address = (*start + (relative == kRelativeToPlace ? start_at : 0)) & mask;
        if (*size != 0 && *size <= mask - address) ranges.push_back({address, address + *size});
    }
}

}  // namespace cpulevel::cpuid
