// The mapping calls that find_sites() names in a dynamic loader against what the loader really does: a program is
// started under ptrace, and every mmap of a file and every mprotect that the loader makes before the program's own
// first instruction must come from a named place.
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>

#include "cpuid/site_finder.h"
#include "util/file.h"

namespace cpulevel::cpuid {
namespace {

constexpr const char* kProgram = "/bin/true";
constexpr const char* kLoader = "/lib64/ld-linux-x86-64.so.2";

std::uint64_t auxiliary_value(pid_t pid, std::uint64_t type) {
    const auto vector = read_file("/proc/" + std::to_string(pid) + "/auxv");
    if (!vector) return 0;
    for (std::size_t at = 0; at + sizeof(Elf64_auxv_t) <= vector->size(); at += sizeof(Elf64_auxv_t)) {
        Elf64_auxv_t entry;
        std::memcpy(&entry, vector->data() + at, sizeof entry);
        if (entry.a_type == type) return entry.a_un.a_val;
    }
    return 0;
}

TEST(SiteFinderLoader, TheLoadersMappingCallsAreTheNamedOnes) {
    const auto loader = read_file(kLoader);
    if (!loader) GTEST_SKIP() << kLoader << " is not on this machine";
    const auto scan = find_sites(std::as_bytes(std::span(*loader)));
    ASSERT_TRUE(scan) << scan.error().message();
    std::set<std::uint64_t> named;
    for (const Site& site : scan->mmap_calls) named.insert(site.address);
    ASSERT_FALSE(named.empty());

    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::execl(kProgram, kProgram, static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status)) GTEST_SKIP() << "this process may not trace its child (or " << kProgram << " is missing)";
    ASSERT_EQ(::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD), 0);
    const std::uint64_t base = auxiliary_value(child, AT_BASE);
    ASSERT_NE(base, 0U);

    std::set<std::uint64_t> seen;
    for (bool entering = true;; ) {
        ASSERT_EQ(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr), 0);
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        if (!WIFSTOPPED(status)) break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
        if (entering) {
            user_regs_struct registers{};
            ASSERT_EQ(::ptrace(PTRACE_GETREGS, child, nullptr, &registers), 0);
            constexpr std::uint64_t kSyscallLength = 2;
            const std::uint64_t at = registers.rip - kSyscallLength - base;
            const bool maps = registers.orig_rax == SYS_mmap || registers.orig_rax == SYS_mprotect;
            if (maps && at < loader->size()) {
                seen.insert(at);
                EXPECT_EQ(named.count(at), 1U) << std::hex << at;
            }
        }
        entering = !entering;
    }
    EXPECT_GE(seen.size(), 2U) << "mmap and mprotect of " << kLoader << " were not seen";
}

}  // namespace
}  // namespace cpulevel::cpuid
