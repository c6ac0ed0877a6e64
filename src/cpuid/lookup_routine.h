// The machine code that answers a CPUID from a flat table (flat_table.h), to be copied behind a table in another
// process. It is x86-64 code as data: it is there only in a build for x86-64, the only one with programs to run it.
//
// Called with EAX and ECX as CPUID takes them, it returns RAX, RBX, RCX and RDX as CPUID does, with the upper halves
// zero, keeps every other register, changes the arithmetic flags, and uses 24 bytes of the stack with the return
// address.
#pragma once

#include <cstddef>
#include <span>

namespace cpulevel::cpuid {

// Behind it stands a second routine, for stubs of a loader's mmap (stub_area.h): called with a file's descriptor in
// R8D, it returns with ECX 0 if the file is one of the list that lies behind the code (KnownFiles), changes RCX, R11
// and the flags, and uses 200 bytes of the stack.
struct LookupRoutine {
    std::span<const std::byte> code;  // empty in a build for another architecture
    // Where in `code` the 32-bit displacement stands that leads to the table, relative to the byte behind itself.
    std::size_t table_displacement = 0;
    std::size_t known_file = 0;  // where the second routine begins; `code` ends where the list begins, 16 bytes aligned
};

[[nodiscard]] LookupRoutine lookup_routine();

}  // namespace cpulevel::cpuid
