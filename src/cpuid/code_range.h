// Where functions start and end in a module: the anchors that the site finder decodes from. Each source is
// believed only as far as its format was checked; the decode then has to agree with all of them.
#pragma once

#include <cstdint>
#include <vector>

#include "cpuid/elf_image.h"

namespace cpulevel::cpuid {

struct CodeRange {
    std::uint64_t start = 0;  // addresses as linked; an instruction boundary, says the source
    std::uint64_t end = 0;    // exclusive
    friend auto operator<=>(const CodeRange&, const CodeRange&) = default;
};

// The functions that frame descriptions (FDEs) cover. Those of signal trampolines are left out: by convention they begin one
// byte *before* the code (glibc's __restore_rt), so that the unwinder's "return address - 1" finds them.
// Source: Linux Standard Base 5.0, 10.6 ".eh_frame"; DWARF 4, 6.4.
void add_unwind_ranges(const ElfImage& image, std::vector<CodeRange>& ranges);

// Function symbols with a size, from .symtab and .dynsym.
void add_symbol_ranges(const ElfImage& image, std::vector<CodeRange>& ranges);

// Go's function table, which stays in stripped programs; a function ends where the next begins.
// Source: Go's internal/abi and debug/gosym/pclntab.go, magic numbers of 1.2, 1.16, 1.18 and 1.20.
void add_go_ranges(const ElfImage& image, std::vector<CodeRange>& ranges);

// All of them and .init and .fini, each in executable bytes of the file, sorted, without duplicates.
[[nodiscard]] std::vector<CodeRange> code_ranges(const ElfImage& image);

}  // namespace cpulevel::cpuid
