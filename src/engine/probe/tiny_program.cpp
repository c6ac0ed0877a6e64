#include "engine/probe/tiny_program.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace cpulevel::engine::probe {

namespace {

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // <linux/memfd.h> since 6.3: newer than Debian 12's headers in glibc
#endif

// One segment that holds headers and code, and PT_GNU_STACK so that the kernel makes no executable stack.
template <class Header, class Segment, class Address>
std::vector<std::byte> make_image(unsigned char elf_class, std::uint16_t machine, Address base,
                                  std::span<const std::uint8_t> code) {
    Header header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = elf_class;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(Header);
    header.e_phoff = sizeof(Header);
    header.e_phentsize = sizeof(Segment);
    header.e_phnum = 2;
    constexpr std::size_t headers = sizeof(Header) + 2 * sizeof(Segment);
    header.e_entry = base + headers;

    Segment load{};
    load.p_type = PT_LOAD;
    load.p_flags = PF_R | PF_X;
    load.p_vaddr = load.p_paddr = base;
    load.p_filesz = load.p_memsz = static_cast<decltype(load.p_filesz)>(headers + code.size());
    load.p_align = 0x10000;  // the largest page size of the machines that we know
    Segment stack{};
    stack.p_type = PT_GNU_STACK;
    stack.p_flags = PF_R | PF_W;
    stack.p_align = 16;

    std::vector<std::byte> image(headers + code.size());
    std::memcpy(image.data(), &header, sizeof header);
    std::memcpy(image.data() + sizeof header, &load, sizeof load);
    std::memcpy(image.data() + sizeof header + sizeof load, &stack, sizeof stack);
    std::memcpy(image.data() + headers, code.data(), code.size());
    return image;
}

}  // namespace

std::vector<std::byte> stack_printer_x86_64() {
    constexpr std::array<std::uint8_t, 34> code{
        0xb8, 0x01, 0x00, 0x00, 0x00,                                    // mov eax, 1 (write)
        0xbf, 0x01, 0x00, 0x00, 0x00,                                    // mov edi, 1
        0x48, 0x89, 0xe6,                                                // mov rsi, rsp
        0xba, kStackBytes & 0xff, kStackBytes >> 8, 0x00, 0x00,          // mov edx, kStackBytes
        0x0f, 0x05,                                                      // syscall
        0xbf, kTinyExitStatus, 0x00, 0x00, 0x00,                         // mov edi, kTinyExitStatus
        0xb8, 0x3c, 0x00, 0x00, 0x00,                                    // mov eax, 60 (exit)
        0x0f, 0x05,                                                      // syscall
        0x0f, 0x0b,                                                      // ud2: never reached
    };
    return make_image<Elf64_Ehdr, Elf64_Phdr, Elf64_Addr>(ELFCLASS64, EM_X86_64, 0x400000, code);
}

std::vector<std::byte> stack_printer_aarch64() {
    constexpr std::array<std::uint32_t, 9> code{
        0xd2800020,                                    // mov x0, #1
        0x910003e1,                                    // mov x1, sp
        0xd2800002 | std::uint32_t{kStackBytes} << 5,                 // mov x2, #kStackBytes
        0xd2800808,                                    // mov x8, #64 (write)
        0xd4000001,                                    // svc #0
        0xd2800000 | std::uint32_t{kTinyExitStatus} << 5,  // mov x0, #kTinyExitStatus
        0xd2800ba8,                                    // mov x8, #93 (exit)
        0xd4000001,                                    // svc #0
        0xd4200000,                                    // brk #0: never reached
    };
    std::array<std::uint8_t, sizeof code> bytes;
    std::memcpy(bytes.data(), code.data(), bytes.size());  // little endian, as the machine that runs it
    return make_image<Elf64_Ehdr, Elf64_Phdr, Elf64_Addr>(ELFCLASS64, EM_AARCH64, 0x400000, bytes);
}

std::vector<std::byte> exiter_i386() {
    constexpr std::array<std::uint8_t, 14> code{
        0xb8, 0x01, 0x00, 0x00, 0x00,             // mov eax, 1 (exit)
        0xbb, kTinyExitStatus, 0x00, 0x00, 0x00,  // mov ebx, kTinyExitStatus
        0xcd, 0x80,                               // int 0x80
        0x0f, 0x0b,                               // ud2: never reached
    };
    return make_image<Elf32_Ehdr, Elf32_Phdr, Elf32_Addr>(ELFCLASS32, EM_386, 0x08048000, code);
}

Result<Fd> executable_memory_file(std::span<const std::byte> image) {
    constexpr const char* kName = "cpulevel-probe";
    int fd = ::memfd_create(kName, MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) fd = ::memfd_create(kName, MFD_CLOEXEC);  // before 6.3
    if (fd < 0) {
        return system_error(ErrorKind::machine, "cannot make an executable file in memory", "memfd_create",
                            "see sysctl vm.memfd_noexec");
    }
    Fd file(fd);
    if (::write(fd, image.data(), image.size()) != static_cast<ssize_t>(image.size())) {
        return system_error(ErrorKind::machine, "cannot write a file in memory", kName);
    }
    // Through a read-only descriptor: the kernel refuses to execute a file that is open for writing (ETXTBSY).
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    Fd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!readable.valid()) return system_error(ErrorKind::machine, "cannot open again", path);
    return readable;
}

int execute(int fd) {
    char name[] = "probe";
    char* arguments[] = {name, nullptr};
    char* environment[] = {nullptr};
    ::syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
    return errno;
}

}  // namespace cpulevel::engine::probe
