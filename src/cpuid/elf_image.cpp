#include "cpuid/elf_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace cpulevel::cpuid {
namespace {

std::unexpected<Error> bad(std::string on, std::string why) {
    return usage_error("cannot read the ELF file", std::move(on), std::move(why));
}

}  // namespace

std::optional<std::string_view> ByteView::text(std::uint64_t offset) const {
    if (offset >= bytes_.size()) return std::nullopt;
    const auto rest = bytes_.subspan(offset);
    const auto end = std::find(rest.begin(), rest.end(), std::byte{0});
    if (end == rest.end()) return std::nullopt;
    // char may alias any object; this is the one place where bytes become text.
    return std::string_view(reinterpret_cast<const char*>(rest.data()), static_cast<std::size_t>(end - rest.begin()));
}

Result<ElfImage> ElfImage::parse(std::span<const std::byte> file) {
    ElfImage image;
    image.file_ = ByteView(file);
    const auto ident = image.file_.read<std::array<unsigned char, EI_NIDENT>>(0);
    if (!ident || std::memcmp(ident->data(), ELFMAG, SELFMAG) != 0) return bad("ELF header", "not an ELF file");
    if ((*ident)[EI_DATA] != ELFDATA2LSB) return bad("ELF header", "not little-endian, so not for x86");
    const unsigned elf_class = (*ident)[EI_CLASS];
    if (elf_class != ELFCLASS64 && elf_class != ELFCLASS32) {
        return bad("ELF header", fmt::format("class {} is neither 32-bit nor 64-bit", elf_class));
    }
    image.wide_ = elf_class == ELFCLASS64;
    auto read = image.wide_ ? image.read_headers<Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr>()
                            : image.read_headers<Elf32_Ehdr, Elf32_Phdr, Elf32_Shdr>();
    if (!read) return std::unexpected(read.error());
    return image;
}

template <class Ehdr, class Phdr, class Shdr>
Result<void> ElfImage::read_headers() {
    const auto header = file_.read<Ehdr>(0);
    if (!header) return bad("ELF header", "truncated");
    if (header->e_machine != EM_X86_64 && (wide_ || header->e_machine != EM_386)) {
        return bad("ELF header", fmt::format("machine {} is not x86", header->e_machine));
    }
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN) {
        return bad("ELF header", fmt::format("type {} is neither an executable nor a shared object", header->e_type));
    }
    mode_ = header->e_machine == EM_X86_64 ? CodeMode::bits64 : CodeMode::bits32;
    type_ = header->e_type;
    entry_ = header->e_entry;
    if (header->e_phnum != 0 && header->e_phentsize != sizeof(Phdr)) {
        return bad("ELF header", fmt::format("program headers of {} bytes", header->e_phentsize));
    }
    for (unsigned index = 0; index < header->e_phnum; ++index) {
        const std::uint64_t table = header->e_phoff;
        if (table > file_.size()) return bad("program headers", "beyond the end of the file");
        const auto program = file_.read<Phdr>(table + std::uint64_t{index} * sizeof(Phdr));
        const std::string place = fmt::format("program header {}", index);
        if (!program) return bad(place, "truncated");
        if (program->p_type == PT_INTERP) {
            has_interpreter_ = true;
            const auto path = file_.part(program->p_offset, program->p_filesz);
            interpreter_ = path ? path->text(0).value_or("") : "";
        }
        if (program->p_type == PT_GNU_EH_FRAME) unwind_header_ = program->p_vaddr;
        if (program->p_type == PT_NOTE) {
            if (const auto part = file_.part(program->p_offset, program->p_filesz)) read_notes(*part);
        }
        if (program->p_type != PT_LOAD || program->p_filesz == 0) continue;
        if (!file_.part(program->p_offset, program->p_filesz)) {
            return bad(place, fmt::format("{} bytes at offset {} reach beyond the end of the file, {} bytes",
                                          program->p_filesz, program->p_offset, file_.size()));
        }
        const std::uint64_t address = program->p_vaddr;
        const std::uint64_t limit = wide_ ? ~std::uint64_t{0} : std::uint64_t{0xFFFFFFFF};
        if (address > limit - program->p_filesz) return bad(place, "wraps around the address space");
        segments_.push_back({.address = address,
                             .offset = program->p_offset,
                             .size = program->p_filesz,
                             .executable = (program->p_flags & PF_X) != 0});
    }
    std::sort(segments_.begin(), segments_.end(),
              [](const Segment& left, const Segment& right) { return left.address < right.address; });
    for (std::size_t index = 1; index < segments_.size(); ++index) {
        const Segment& before = segments_[index - 1];
        if (before.address + before.size > segments_[index].address) {
            return bad(fmt::format("segment at {:#x}", segments_[index].address), "overlaps another segment");
        }
    }
    read_sections<Ehdr, Shdr>(*header);
    return {};
}

template <class Ehdr, class Shdr>
void ElfImage::read_sections(const Ehdr& header) {
    if (header.e_shentsize != sizeof(Shdr) || header.e_shstrndx >= header.e_shnum) return;
    const std::optional<ByteView> table = file_.part(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Shdr));
    if (!table) return;
    const auto at = [&](unsigned index) { return *table->read<Shdr>(std::uint64_t{index} * sizeof(Shdr)); };
    const Shdr name_header = at(header.e_shstrndx);
    const auto names = file_.part(name_header.sh_offset, name_header.sh_size);
    if (!names) return;
    std::vector<Section> sections;
    for (unsigned index = 1; index < header.e_shnum; ++index) {
        const Shdr section = at(index);
        Section result{.name = names->text(section.sh_name).value_or(""),
                       .type = section.sh_type,
                       .flags = section.sh_flags,
                       .address = section.sh_addr,
                       .entry_size = section.sh_entsize,
                       .content = {}};
        if (section.sh_type != SHT_NOBITS) {
            const auto content = file_.part(section.sh_offset, section.sh_size);
            if (!content) return;  // one lie, and none of the table is believed
            result.content = *content;
        }
        sections.push_back(result);
    }
    sections_ = std::move(sections);
}

void ElfImage::read_notes(ByteView notes) {
    constexpr std::string_view kGnu("GNU\0", 4);
    std::uint64_t at = 0;
    while (build_id_.empty()) {
        const auto note = notes.read<Elf64_Nhdr>(at);  // the same in 32-bit files
        if (!note) return;
        const std::uint64_t name_at = at + sizeof(Elf64_Nhdr);
        const std::uint64_t content_at = name_at + ((std::uint64_t{note->n_namesz} + 3) & ~std::uint64_t{3});
        const auto content = notes.part(content_at, note->n_descsz);
        if (!content) return;
        const auto name = notes.read<std::array<char, 4>>(name_at);
        // Linkers write 8 (xxhash), 16 or 20 bytes; --build-id=0x... any number.
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && name &&
            std::string_view(name->data(), name->size()) == kGnu && note->n_descsz <= 64) {
            for (const std::byte byte : content->bytes()) {
                build_id_ += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
            }
        }
        at = content_at + ((std::uint64_t{note->n_descsz} + 3) & ~std::uint64_t{3});
    }
}

bool ElfImage::may_be_dynamic_loader() const { return type_ == ET_DYN && !has_interpreter_ && entry_ != 0; }

const ElfImage::Section* ElfImage::section(std::string_view name) const {
    const auto found = std::find_if(sections_.begin(), sections_.end(),
                                    [&](const Section& section) { return section.name == name; });
    return found == sections_.end() ? nullptr : &*found;
}

const ElfImage::Segment* ElfImage::segment_at(std::uint64_t address) const {
    auto after = std::upper_bound(segments_.begin(), segments_.end(), address,
                                  [](std::uint64_t value, const Segment& segment) { return value < segment.address; });
    if (after == segments_.begin()) return nullptr;
    const Segment& segment = *std::prev(after);
    return address - segment.address < segment.size ? &segment : nullptr;
}

std::optional<ByteView> ElfImage::bytes_at(std::uint64_t address) const {
    const Segment* segment = segment_at(address);
    if (segment == nullptr) return std::nullopt;
    const std::uint64_t skip = address - segment->address;
    return file_.part(segment->offset + skip, segment->size - skip);
}

std::optional<ByteView> ElfImage::code(std::uint64_t start, std::uint64_t end) const {
    const Segment* segment = segment_at(start);
    if (segment == nullptr || !segment->executable || end <= start) return std::nullopt;
    const std::uint64_t skip = start - segment->address;
    if (end - start > segment->size - skip) return std::nullopt;
    return file_.part(segment->offset + skip, end - start);
}

}  // namespace cpulevel::cpuid
