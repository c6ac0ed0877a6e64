// FlatTable::lookup() once more, in assembly; the numbers 1 to 4 are the steps of "How to answer" in flat_table.h.
//
// It runs inside of whatever program asked, between any two of its instructions, so it can rely on nothing: not on the
// direction flag (no string instructions), not on a C stack's alignment, not on alignment checks being off (EFLAGS.AC:
// every access is aligned as wide as it is), not on SSE state being its own. It leaves by `ret` to where it was called
// from, which shadow stacks demand.
#include "cpuid/lookup_routine.h"

#include <sys/stat.h>

#include <cstddef>

#include "cpuid/flat_table.h"
#include "cpuid/known_files.h"

namespace cpulevel::cpuid {

#if defined(__x86_64__)

// The offsets that the code below has as numbers.
static_assert(offsetof(FlatHeader, entry_count) == 12 && offsetof(FlatHeader, above_maximum) == 16 &&
              offsetof(FlatHeader, live_at) == 20);
static_assert(offsetof(FlatHeader, ranges) == 32 && sizeof(FlatHeader::ranges) == 32 && sizeof(FlatHeader) == 64);
static_assert(offsetof(FlatEntry, leaf) == 0 && offsetof(FlatEntry, match) == 4 && offsetof(FlatEntry, subleaf) == 8);
static_assert(offsetof(FlatEntry, flags) == 12 && offsetof(FlatEntry, fixed) == 16 && offsetof(FlatEntry, live) == 32);
static_assert(sizeof(FlatEntry) == 48);
static_assert(sizeof(KnownFiles::Header) == 8 && sizeof(FileIdentity) == 40 && offsetof(FileIdentity, seconds) == 24);
static_assert(offsetof(struct stat, st_dev) == 0 && offsetof(struct stat, st_ino) == 8 &&
              offsetof(struct stat, st_size) == 48);
static_assert(offsetof(struct stat, st_mtim) == 88 && sizeof(struct stat) == 144);
static_assert(FlatHeader::kRepeatHighest == 1 && FlatEntry::kAnySubleaf == 1 && FlatEntry::kRepeatsSubleaf == 1);

// EAX leaf, ECX subleaf, RSI the header and then an entry, RDX the end of the entries, RBX the header, EDI the subleaf behind
// a CPUID.
asm(R"(
        .pushsection .rodata.cpulevel_lookup, "a", @progbits
        .intel_syntax noprefix
        .globl  cpulevel_lookup_begin, cpulevel_lookup_displacement, cpulevel_known_file, cpulevel_lookup_end
        .hidden cpulevel_lookup_begin, cpulevel_lookup_displacement, cpulevel_known_file, cpulevel_lookup_end

        .balign 16
cpulevel_lookup_begin:
        push    rsi
        push    rdi
        .byte   0x48, 0x8d, 0x35                # lea rsi, [rip + table]
cpulevel_lookup_displacement:
        .long   0
        mov     rbx, rsi

        # 1. A leaf outside of the ranges.
        cmp     eax, [rsi + 32]                 # basic
        jb      1f
        cmp     eax, [rsi + 36]
        jbe     .Lwithin
1:      cmp     eax, [rsi + 40]                 # hypervisor
        jb      1f
        cmp     eax, [rsi + 44]
        jbe     .Lwithin
1:      cmp     eax, [rsi + 48]                 # extended
        jb      1f
        cmp     eax, [rsi + 52]
        jbe     .Lwithin
1:      cmp     eax, [rsi + 56]                 # Centaur
        jb      1f
        cmp     eax, [rsi + 60]
        jbe     .Lwithin
1:      cmp     dword ptr [rsi + 16], 1         # above_maximum is kRepeatHighest
        jne     .Lzeros
        mov     eax, [rsi + 36]
.Lwithin:

        # 2. The first entry for leaf and subleaf.
        mov     edx, [rsi + 12]                 # entry_count
        lea     rdx, [rdx + rdx * 2]
        add     rsi, 64
        shl     rdx, 4
        add     rdx, rsi                        # + 48 bytes for each
        jmp     .Lcompare
.Lnext: add     rsi, 48
.Lcompare:
        cmp     rsi, rdx
        jae     .Lzeros
        cmp     [rsi], eax                      # sorted by leaf
        jb      .Lnext
        ja      .Lzeros
        cmp     dword ptr [rsi + 4], 1          # match is kAnySubleaf
        je      .Lfound
        cmp     [rsi + 8], ecx
        jne     .Lnext
.Lfound:

        # 3. What is fixed, and what is live.
        mov     edi, ecx
        mov     edx, [rsi + 32]
        or      edx, [rsi + 36]
        or      edx, [rsi + 40]
        or      edx, [rsi + 44]
        jz      .Lfixed

        # Of this CPU known before? live_rows.h
        mov     edx, [rbx + 20]                 # live_at
        test    edx, edx
        jz      .Lreal
        add     rdx, rbx
        neg     rbx
        add     rbx, rsi                        # the entry's offset
        mov     ecx, [rdx]                      # rows
.Lrow:  sub     ecx, 1
        jb      .Lunasked
        cmp     [rdx + rcx * 4 + 8], ebx
        jne     .Lrow
        mov     ebx, 0x7b                       # __CPUNODE_SEG: its limit has the CPU's number
        lsl     ebx, ebx
        jnz     .Lunasked
        and     ebx, 0xfff
        cmp     ebx, [rdx + 4]                  # cpus
        jae     .Lunasked
        imul    ecx, [rdx + 4]
        add     ecx, ebx
        lea     ecx, [rcx + rcx * 4]            # five words for each record
        mov     ebx, [rdx]
        lea     rdx, [rdx + rbx * 4 + 8]        # the first record
        lea     rdx, [rdx + rcx * 4]
        cmp     dword ptr [rdx], 0              # known
        je      .Lunasked
        mov     eax, [rdx + 4]
        mov     ebx, [rdx + 8]
        mov     ecx, [rdx + 12]
        mov     edx, [rdx + 16]
        jmp     .Llive
.Lunasked:
        mov     ecx, edi
.Lreal: cpuid
.Llive: and     eax, [rsi + 32]
        and     ebx, [rsi + 36]
        and     ecx, [rsi + 40]
        and     edx, [rsi + 44]
        or      eax, [rsi + 16]
        or      ebx, [rsi + 20]
        or      ecx, [rsi + 24]
        or      edx, [rsi + 28]
        jmp     .Lanswered
.Lfixed:
        mov     eax, [rsi + 16]                 # writing a 32-bit register zeroes its upper half
        mov     ebx, [rsi + 20]
        mov     ecx, [rsi + 24]
        mov     edx, [rsi + 28]
.Lanswered:

        # 4. ECX[7:0] of a topology leaf.
        test    dword ptr [rsi + 12], 1         # flags has kRepeatsSubleaf
        jz      .Lreturn
        mov     cl, dil
.Lreturn:
        lfence                                  # what follows waits for what precedes, as with CPUID
        pop     rdi
        pop     rsi
        ret

.Lzeros:
        xor     eax, eax
        xor     ebx, ebx
        xor     ecx, ecx
        xor     edx, edx
        jmp     .Lreturn

cpulevel_known_file:
        push    rax
        push    rdi
        push    rsi
        push    rdx
        push    r10
        lea     rsp, [rsp - 144]                # struct stat
        mov     eax, [rip + .Lfiles]            # which call
        mov     edi, r8d
        mov     rsi, rsp
        cmp     eax, 5                          # fstat(fd, &stat)
        je      .Lask
        cmp     eax, 262                        # newfstatat(fd, "", &stat, AT_EMPTY_PATH)
        jne     .Lunknown
        lea     rsi, [rip + .Lempty]
        mov     rdx, rsp
        mov     r10d, 0x1000
.Lask:  syscall
        test    eax, eax
        jnz     .Lunknown
        lea     rsi, [rip + .Lfiles + 8]
        mov     edx, [rip + .Lfiles + 4]        # how many
.Lfile: sub     edx, 1
        jb      .Lunknown
        mov     rcx, [rsi]
        xor     rcx, [rsp]                      # st_dev
        mov     r11, [rsi + 8]
        xor     r11, [rsp + 8]                  # st_ino
        or      rcx, r11
        mov     r11, [rsi + 16]
        xor     r11, [rsp + 48]                 # st_size
        or      rcx, r11
        mov     r11, [rsi + 24]
        xor     r11, [rsp + 88]                 # st_mtim
        or      rcx, r11
        mov     r11, [rsi + 32]
        xor     r11, [rsp + 96]
        or      rcx, r11
        lea     rsi, [rsi + 40]
        jnz     .Lfile
        jmp     .Ltold
.Lunknown:
        mov     ecx, 1
.Ltold: lea     rsp, [rsp + 144]
        pop     r10
        pop     rdx
        pop     rsi
        pop     rdi
        pop     rax
        ret
.Lempty:
        .byte   0
        .balign 16, 0xcc
.Lfiles:
cpulevel_lookup_end:
        .att_syntax prefix
        .popsection
)");

extern "C" {
[[gnu::visibility("hidden")]] extern const std::byte cpulevel_lookup_begin[];
[[gnu::visibility("hidden")]] extern const std::byte cpulevel_lookup_displacement[];
[[gnu::visibility("hidden")]] extern const std::byte cpulevel_known_file[];
[[gnu::visibility("hidden")]] extern const std::byte cpulevel_lookup_end[];
}

LookupRoutine lookup_routine() {
    return {.code = {cpulevel_lookup_begin, cpulevel_lookup_end},
            .table_displacement = static_cast<std::size_t>(cpulevel_lookup_displacement - cpulevel_lookup_begin),
            .known_file = static_cast<std::size_t>(cpulevel_known_file - cpulevel_lookup_begin)};
}

#else

LookupRoutine lookup_routine() { return {}; }

#endif

}  // namespace cpulevel::cpuid
