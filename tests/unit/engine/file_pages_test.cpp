#include "engine/ptrace/file_pages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "util/fd.h"

namespace cpulevel::engine::ptrace {
namespace {

Fd file_of(std::string_view text) {
    Fd fd(::memfd_create("file_pages_test", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    return fd;
}

std::string text_of(const FilePages& pages) {
    std::string text;
    for (const std::byte byte : pages.bytes()) text.push_back(static_cast<char>(byte));
    return text;
}

TEST(FilePages, HoldTheFile) {
    const std::string text(3 << 20, 'x');
    const Fd fd = file_of(text + "end");
    const auto pages = FilePages::read(fd.get(), text.size() + 3);
    ASSERT_TRUE(pages);
    EXPECT_EQ(text_of(*pages), text + "end");
}

TEST(FilePages, AreNotMadeOfAFileThatIsShorterByNow) {
    const Fd fd = file_of("short");
    EXPECT_FALSE(FilePages::read(fd.get(), 6));
    EXPECT_TRUE(FilePages::read(fd.get(), 5));
}

TEST(FilePages, AreNotMadeOfMoreThanThereIs) {
    const Fd fd = file_of("short");
    EXPECT_FALSE(FilePages::read(fd.get(), std::uint64_t{1} << 60U));
    EXPECT_FALSE(FilePages::read(-1, 5));
}

TEST(FilePages, BelongToOne) {
    const Fd fd = file_of("text");
    auto pages = FilePages::read(fd.get(), 4);
    ASSERT_TRUE(pages);
    const FilePages moved(std::move(*pages));
    EXPECT_EQ(text_of(moved), "text");
}

}  // namespace
}  // namespace cpulevel::engine::ptrace
