// Real programs and libraries of this machine against another decoder, binutils' objdump: whatever we call a CPUID
// instruction must be one in its listing. The reverse does not hold: objdump decodes data in the text as well
// (two of the ten that it lists in Debian 12's libcrypto are constants of a curve).
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>

#include "cpuid/site_finder.h"
#include "util/fd.h"
#include "util/text.h"

namespace cpulevel::cpuid {
namespace {

class MappedFile {
   public:
    explicit MappedFile(const std::string& path) {
        const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat status{};
        if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || status.st_size == 0) return;
        size_ = static_cast<std::size_t>(status.st_size);
        void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
        data_ = mapped == MAP_FAILED ? nullptr : static_cast<const std::byte*>(mapped);
    }
    ~MappedFile() {
        if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    [[nodiscard]] bool valid() const { return data_ != nullptr; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

   private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// Addresses of the CPUID instructions that objdump lists; empty listing means that objdump is not there.
struct Listing {
    bool complete = false;
    std::set<std::uint64_t> cpuid;
    std::set<std::uint64_t> starts;   // of all instructions
    std::set<std::uint64_t> targets;  // of jumps, branches and calls
};

Listing objdump(const std::string& path) {
    Listing listing;
    const std::string command = "objdump -dw --no-show-raw-insn '" + path + "' 2>/dev/null";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    if (!pipe) return listing;
    std::array<char, 4096> line;
    while (std::fgets(line.data(), static_cast<int>(line.size()), pipe.get()) != nullptr) {
        const std::string_view text(line.data());
        const std::size_t colon = text.find(":\t");
        if (colon == std::string_view::npos) continue;
        listing.complete = true;
        const auto start = parse_hex(trim(text.substr(0, colon)));
        if (start) listing.starts.insert(*start);
        if (const std::size_t symbol = text.find(" <"); symbol != std::string_view::npos) {
            const std::size_t space = text.find_last_of(" \t", symbol - 1);
            if (const auto target = parse_hex(text.substr(space + 1, symbol - space - 1)))
                listing.targets.insert(*target);
        }
        // Possibly with prefixes before it; symbols stand in angle brackets behind.
        const std::string_view instruction = text.substr(colon, text.find('<') - colon);
        if (instruction.find("cpuid") == std::string_view::npos) continue;
        if (start) listing.cpuid.insert(*start);
    }
    return listing;
}

class RealFile : public testing::TestWithParam<const char*> {};

TEST_P(RealFile, EverySiteIsACpuidForObjdumpToo) {
    // Resolved here: for objdump, /proc/self would be another process.
    std::error_code error;
    const std::string path = std::filesystem::canonical(GetParam(), error);
    if (error) GTEST_SKIP() << GetParam() << " is not on this machine";
    const MappedFile file(path);
    ASSERT_TRUE(file.valid());
    const auto begin = std::chrono::steady_clock::now();
    const auto scan = find_sites(file.bytes());
    const auto took = std::chrono::steady_clock::now() - begin;
    ASSERT_TRUE(scan) << scan.error().message();
    EXPECT_LT(took, std::chrono::seconds(1));

    const Listing listing = objdump(path);
    if (!listing.complete) GTEST_SKIP() << "no objdump (package binutils)";
    std::size_t covered = 0;
    for (const Site& site : scan->sites) {
        EXPECT_EQ(listing.cpuid.count(site.address), 1U) << std::hex << site.address;
        covered += listing.cpuid.count(site.address);
    }
    std::printf("%s: %zu of the %zu CPUID instructions that objdump lists; %zu undecided; %lld us\n", path.c_str(),
                covered, listing.cpuid.size(), scan->undecided.size(),
                static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    // Nothing that objdump knows of leads to the bytes that a patch moves, and they are whole instructions for it, too.
    for (const SitePatch& patch : scan->patches) {
        const auto site = std::ranges::find(scan->sites, patch.site_offset(), &Site::file_offset);
        ASSERT_NE(site, scan->sites.end());
        SCOPED_TRACE(fmt::format("site at {:#x}", site->address));
        const std::uint64_t start = site->address - patch.site;
        EXPECT_TRUE(listing.starts.contains(start));
        EXPECT_TRUE(listing.starts.contains(start + patch.length));
        EXPECT_TRUE(std::ranges::equal(file.bytes().subspan(patch.file_offset, patch.length),
                                       std::span(patch.original).first(patch.length)));
        for (std::uint64_t moved = start + 1; moved < start + patch.length; ++moved) {
            EXPECT_FALSE(listing.targets.contains(moved)) << std::hex << moved;
        }
    }
    if (!scan->patches.empty()) {
        EXPECT_GT(listing.targets.size(), 100U) << "the listing was not understood";
    }
    std::printf("%s: %zu of %zu sites can be patched\n", path.c_str(), scan->patches.size(), scan->sites.size());

    // What objdump lists and we do not is either undecided or proven to be no instruction of its own; with the compiled
    // libraries of any distribution nearly all are sites.
    EXPECT_GE(covered * 10, listing.cpuid.size() * 7);
}

INSTANTIATE_TEST_SUITE_P(Machine, RealFile,
                         testing::Values("/proc/self/exe", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux.so.2",
                                         "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libgcc_s.so.1",
                                         "/lib/x86_64-linux-gnu/libcrypto.so.3", "/lib/x86_64-linux-gnu/libstdc++.so.6",
                                         "/lib/x86_64-linux-musl/libc.so", "/lib32/libgcc_s.so.1",
                                         "/usr/lib/go-1.19/bin/go", "/usr/bin/python3"));

// Large ones, for which objdump takes minutes: nothing is claimed which is not those two bytes. How long it takes is in
// bench/functions.cpp.
TEST(RealFiles, LargeProgramsHaveSitesWhereTheInstructionIs) {
    bool any = false;
    for (const char* path : {"/usr/bin/node", "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"}) {
        const MappedFile file(path);
        if (!file.valid()) continue;
        any = true;
        const auto scan = find_sites(file.bytes());
        ASSERT_TRUE(scan) << scan.error().message();
        EXPECT_FALSE(scan->build_id.empty()) << path;
        EXPECT_FALSE(scan->sites.empty()) << path;
        for (const Site& site : scan->sites) {
            ASSERT_LT(site.file_offset + 1, file.bytes().size());
            EXPECT_EQ(file.bytes()[site.file_offset], std::byte{0x0f}) << path << " at " << site.file_offset;
            EXPECT_EQ(file.bytes()[site.file_offset + 1], std::byte{0xa2}) << path << " at " << site.file_offset;
        }
    }
    if (!any) GTEST_SKIP() << "neither node nor a JVM on this machine";
}

// This very program: the assembler knows where its CPUID instruction is, and that the one in the immediate is none.
extern "C" const char site_finder_test_function[];
asm(R"(
    .pushsection .text
    .globl site_finder_test_function
    .type site_finder_test_function, @function
site_finder_test_function:
    .cfi_startproc
    mov $0x5eed, %ecx
    mov $0x0000a20f, %eax
    cpuid
    ret
    .cfi_endproc
    .size site_finder_test_function, . - site_finder_test_function
    .popsection
)");
constexpr std::size_t kImmediateAt = 6;  // both from the function's start
constexpr std::size_t kCpuidAt = 10;
constexpr std::size_t kFunctionSize = 13;

TEST(RealFiles, ThisProgramAgainstItsAssembler) {
    const MappedFile file("/proc/self/exe");
    ASSERT_TRUE(file.valid());
    const auto scan = find_sites(file.bytes());
    ASSERT_TRUE(scan) << scan.error().message();

    // Where the loaded function stands in the file: its bytes are there once.
    const std::string_view image(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    const std::size_t function = image.find(std::string_view(site_finder_test_function, kFunctionSize));
    ASSERT_NE(function, std::string_view::npos);
    const auto count = [&](const std::vector<Site>& list, std::size_t offset) {
        return std::count_if(list.begin(), list.end(), [&](const Site& site) { return site.file_offset == offset; });
    };
    EXPECT_EQ(count(scan->sites, function + kCpuidAt), 1);
    EXPECT_EQ(count(scan->sites, function + kImmediateAt), 0);
    EXPECT_EQ(count(scan->undecided, function + kImmediateAt), 0);
}

}  // namespace
}  // namespace cpulevel::cpuid
