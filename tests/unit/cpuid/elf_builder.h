// Small ELF files for tests: one executable segment with chosen bytes, and function symbols on chosen ranges.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

namespace cpulevel::cpuid {

using Bytes = std::vector<std::byte>;

inline Bytes code(std::initializer_list<unsigned> values) {
    Bytes result;
    for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

inline Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

struct Elf64Layout {
    using Ehdr = Elf64_Ehdr;
    using Phdr = Elf64_Phdr;
    using Shdr = Elf64_Shdr;
    using Sym = Elf64_Sym;
    static constexpr unsigned kClass = ELFCLASS64;
    static constexpr unsigned kMachine = EM_X86_64;
};
struct Elf32Layout {
    using Ehdr = Elf32_Ehdr;
    using Phdr = Elf32_Phdr;
    using Shdr = Elf32_Shdr;
    using Sym = Elf32_Sym;
    static constexpr unsigned kClass = ELFCLASS32;
    static constexpr unsigned kMachine = EM_386;
};

template <class Layout>
class ElfBuilder {
   public:
    static constexpr std::uint64_t kText = 0x401000;  // address of the text's first byte

    explicit ElfBuilder(Bytes text) : text_(std::move(text)) {}

    // A function symbol over text[begin, end).
    ElfBuilder& function(std::uint64_t begin, std::uint64_t end) {
        typename Layout::Sym symbol{};
        symbol.st_info = STT_FUNC;
        symbol.st_shndx = 1;
        symbol.st_value = static_cast<decltype(symbol.st_value)>(kText + begin);
        symbol.st_size = static_cast<decltype(symbol.st_size)>(end - begin);
        append(symbols_, symbol);
        return *this;
    }
    ElfBuilder& whole_function() { return function(0, text_.size()); }
    ElfBuilder& section(const char* name, std::uint64_t address, Bytes content) {
        extra_.push_back({name, address, std::move(content)});
        return *this;
    }
    ElfBuilder& type(unsigned value) { return type_ = value, *this; }
    ElfBuilder& entry(std::uint64_t value) { return entry_ = value, *this; }

    [[nodiscard]] static std::uint64_t text_offset() { return sizeof(typename Layout::Ehdr) + sizeof(typename Layout::Phdr); }

    // Order in the file: header, one program header, text, symbols, other sections, names, section headers.
    [[nodiscard]] Bytes build() const {
        using Shdr = typename Layout::Shdr;
        Bytes names(1);
        std::vector<Shdr> sections(1);
        Bytes body;
        const auto add = [&](const std::string& name, unsigned kind, unsigned flags, std::uint64_t address, const Bytes& content) {
            Shdr section{};
            section.sh_name = static_cast<decltype(section.sh_name)>(names.size());
            section.sh_type = kind;
            section.sh_flags = flags;
            section.sh_addr = static_cast<decltype(section.sh_addr)>(address);
            section.sh_offset = static_cast<decltype(section.sh_offset)>(text_offset() + body.size());
            section.sh_size = static_cast<decltype(section.sh_size)>(content.size());
            sections.push_back(section);
            for (const char letter : name) names.push_back(static_cast<std::byte>(letter));
            names.push_back(std::byte{0});
            body = body + content;
        };
        add(".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, kText, text_);
        if (!symbols_.empty()) add(".symtab", SHT_SYMTAB, 0, 0, symbols_);
        for (const Extra& extra : extra_) add(extra.name, SHT_PROGBITS, SHF_ALLOC, extra.address, extra.content);
        Shdr name_section{};
        name_section.sh_type = SHT_STRTAB;
        name_section.sh_offset = static_cast<decltype(name_section.sh_offset)>(text_offset() + body.size());
        name_section.sh_size = static_cast<decltype(name_section.sh_size)>(names.size());
        sections.push_back(name_section);
        body = body + names;

        typename Layout::Ehdr header{};
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = Layout::kClass;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_type = static_cast<std::uint16_t>(type_);
        header.e_machine = Layout::kMachine;
        header.e_entry = static_cast<decltype(header.e_entry)>(entry_);
        header.e_phoff = sizeof header;
        header.e_phentsize = sizeof(typename Layout::Phdr);
        header.e_phnum = 1;
        header.e_shoff = static_cast<decltype(header.e_shoff)>(text_offset() + body.size());
        header.e_shentsize = sizeof(Shdr);
        header.e_shnum = static_cast<std::uint16_t>(sections.size());
        header.e_shstrndx = static_cast<std::uint16_t>(sections.size() - 1);
        typename Layout::Phdr program{};
        program.p_type = PT_LOAD;
        program.p_flags = PF_R | PF_X;
        program.p_offset = static_cast<decltype(program.p_offset)>(text_offset());
        program.p_vaddr = static_cast<decltype(program.p_vaddr)>(kText);
        program.p_filesz = program.p_memsz = static_cast<decltype(program.p_filesz)>(text_.size());

        Bytes file;
        append(file, header);
        append(file, program);
        file = file + body;
        for (const Shdr& section : sections) append(file, section);
        return file;
    }

   private:
    struct Extra {
        std::string name;
        std::uint64_t address;
        Bytes content;
    };

    template <class T>
    static void append(Bytes& to, const T& value) {
        const std::size_t at = to.size();
        to.resize(at + sizeof value);
        std::memcpy(to.data() + at, &value, sizeof value);
    }

    Bytes text_;
    Bytes symbols_;
    std::vector<Extra> extra_;
    unsigned type_ = ET_EXEC;
    std::uint64_t entry_ = 0;
};

using Elf64Builder = ElfBuilder<Elf64Layout>;
using Elf32Builder = ElfBuilder<Elf32Layout>;

}  // namespace cpulevel::cpuid
