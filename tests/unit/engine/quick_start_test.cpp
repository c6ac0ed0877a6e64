// The code that a new program runs for us is run here, in a child: it maps, copies, protects and jumps, or ends in its
// trap.
#include "engine/ptrace/quick_start.h"

#if defined(__x86_64__)

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <csignal>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

namespace cpulevel::engine::ptrace {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr int kArrived = 42;
constexpr std::uint32_t kContent = 6000;

std::uint64_t g_area = 0;
const unsigned char* g_content = nullptr;

// What the code jumps to, as to a program's entry: with an aligned stack, as if it had been called by nobody.
[[noreturn]] void arrive() {
    const auto* const area = std::bit_cast<const unsigned char*>(g_area);
    const bool copied = std::memcmp(area, g_content, kContent) == 0 && area[kContent] == 0;
    // Not writable any more: the kernel does not write there either.
    std::array<int, 2> ends{};
    const bool closed = ::pipe(ends.data()) == 0 && ::write(ends[1], "x", 1) == 1 &&
                        ::read(ends[0], std::bit_cast<void*>(g_area), 1) < 0;
    ::_exit(copied && closed ? kArrived : 1);
}

class QuickStart : public ::testing::Test {
   protected:
    void SetUp() override {
        // Room for the code, and behind it for the area: near to this program's own code, which the code jumps to.
        const std::uint64_t near = (std::bit_cast<std::uint64_t>(&arrive) & ~(kPage - 1)) - (64U << 20U);
        void* const place = ::mmap(std::bit_cast<void*>(near), 16 * kPage, PROT_READ | PROT_WRITE | PROT_EXEC,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(place, MAP_FAILED);
        code_ = std::bit_cast<std::uint64_t>(place);
        g_area = code_ + 8 * kPage;
        content_.resize(kContent);
        for (std::size_t i = 0; i < content_.size(); ++i) content_[i] = static_cast<unsigned char>(i * 7 + 1);
        g_content = content_.data();
    }
    void TearDown() override { ::munmap(std::bit_cast<void*>(code_), 16 * kPage); }

    QuickStub stub(std::size_t areas) const {
        QuickStub::Tasks tasks{.set_aux_vector = false, .name_areas = true, .areas = {}};
        for (std::size_t i = 0; i < areas; ++i) {
            tasks.areas[i] = {g_area + i * 4 * kPage, 3 * kPage, kContent,
                              std::bit_cast<std::uint64_t>(content_.data())};
        }
        return {RemoteAddress{code_}, RemoteAddress{std::bit_cast<std::uint64_t>(&arrive)}, tasks};
    }
    // The wait status of a child that runs it.
    int run(const QuickStub& stub, bool free_place) const {
        std::memcpy(std::bit_cast<void*>(code_), stub.code().data(), stub.code().size());
        const pid_t child = ::fork();
        if (child == 0) {
            static ExecStub::Data data;
            if (free_place) ::munmap(std::bit_cast<void*>(g_area), 8 * kPage);
            asm volatile(
                "mov %0, %%rbp\n\t"
                "and $-16, %%rsp\n\t"
                "sub $8, %%rsp\n\t"
                "jmp *%1"
                :
                : "r"(&data.name), "r"(code_)
                : "memory");
            __builtin_unreachable();
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        return status;
    }

    std::uint64_t code_ = 0;
    std::vector<unsigned char> content_;
};

TEST_F(QuickStart, MapsCopiesProtectsAndJumps) {
    for (const std::size_t areas : {1U, 2U}) {
        const int status = run(stub(areas), true);
        ASSERT_TRUE(WIFEXITED(status)) << status;
        EXPECT_EQ(WEXITSTATUS(status), kArrived);
    }
}

TEST_F(QuickStart, EndsInItsTrapWhereThePlaceIsTaken) {
    const int status = run(stub(1), false);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), SIGTRAP);
}

TEST_F(QuickStart, KnowsItsOwnPlaces) {
    QuickStub::Tasks tasks{.set_aux_vector = true, .name_areas = true, .areas = {}};
    for (auto& area : tasks.areas) area = {g_area, 0x7fffffff, 0x7fffffff, ~std::uint64_t{0}};
    const QuickStub largest(RemoteAddress{code_}, RemoteAddress{code_ + 0x12345}, tasks);
    const auto code = largest.code();
    ASSERT_LE(code.size(), QuickStub::kMostCode);
    EXPECT_EQ(code.back(), std::byte{0xcc});
    EXPECT_EQ(value(largest.after_failure()), code_ + code.size());
    const std::size_t jump = value(largest.last_jump()) - code_;
    EXPECT_EQ(code[jump], std::byte{0xe9});
    std::int32_t distance = 0;
    std::memcpy(&distance, &code[jump + 1], sizeof distance);
    EXPECT_EQ(code_ + jump + 5 + static_cast<std::uint64_t>(distance), code_ + 0x12345);
    EXPECT_TRUE(largest.holds(RemoteAddress{code_}));
    EXPECT_FALSE(largest.holds(largest.after_failure()));
    EXPECT_FALSE(largest.holds(RemoteAddress{code_ - 1}));
}

}  // namespace
}  // namespace cpulevel::engine::ptrace

#endif
