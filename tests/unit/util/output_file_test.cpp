#include "util/output_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "util/fd.h"
#include "../temporary_folder.h"

namespace cpulevel {
namespace {

namespace fs = std::filesystem;

class OutputFile : public testing::Test {
   protected:
    [[nodiscard]] std::string in(const std::string& name) const { return (folder_ / name).string(); }
    static std::string text_of(const std::string& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    static mode_t mode_of(const std::string& path) {
        struct stat status{};
        EXPECT_EQ(::lstat(path.c_str(), &status), 0);
        return status.st_mode;
    }

    const test::TemporaryFolder place_;
    const fs::path folder_ = place_.path();
};

TEST_F(OutputFile, ANewOneIsUnderTheUmask) {
    const mode_t before = ::umask(027);
    EXPECT_TRUE(write_output_file(in("new"), "one"));
    ::umask(before);
    EXPECT_EQ(text_of(in("new")), "one");
    EXPECT_EQ(mode_of(in("new")) & 0777, 0640);
}

TEST_F(OutputFile, AnOldOneKeepsItsMode) {
    std::ofstream(in("old")) << "before, and longer";
    ASSERT_EQ(::chmod(in("old").c_str(), 0604), 0);
    EXPECT_TRUE(write_output_file(in("old"), "after"));
    EXPECT_EQ(text_of(in("old")), "after");
    EXPECT_EQ(mode_of(in("old")) & 0777, 0604);
}

TEST_F(OutputFile, ALinkIsFollowed) {
    std::ofstream(in("real")) << "before";
    fs::create_symlink("real", folder_ / "link");
    EXPECT_TRUE(write_output_file(in("link"), "after"));
    EXPECT_TRUE(S_ISLNK(mode_of(in("link"))));
    EXPECT_EQ(text_of(in("real")), "after");
}

TEST_F(OutputFile, ALinkThatLeadsNowhereIsAnError) {
    fs::create_symlink("nowhere", folder_ / "link");
    const auto written = write_output_file(in("link"), "after");
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().message().find("symbolic link"), std::string::npos) << written.error().message();
    EXPECT_TRUE(S_ISLNK(mode_of(in("link"))));
}

TEST_F(OutputFile, SomebodysLinkInASharedFolderIsNot) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make another user's link";
    std::ofstream(in("real")) << "before";
    fs::create_directory(folder_ / "shared");
    ASSERT_EQ(::chmod(in("shared").c_str(), 01777), 0);
    fs::create_symlink(in("real"), folder_ / "shared/link");
    EXPECT_TRUE(write_output_file(in("shared/link"), "ours"));
    ASSERT_EQ(::lchown(in("shared/link").c_str(), 12345, 12345), 0);
    EXPECT_FALSE(write_output_file(in("shared/link"), "theirs"));
    EXPECT_EQ(text_of(in("real")), "ours");
}

TEST_F(OutputFile, APipeIsWrittenTo) {
    ASSERT_EQ(::mkfifo(in("pipe").c_str(), 0600), 0);
    const Fd reader(::open(in("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(write_output_file(in("pipe"), "through"));
    EXPECT_TRUE(S_ISFIFO(mode_of(in("pipe"))));
    std::string text(20, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(reader.get(), text.data(), text.size()))));
    EXPECT_EQ(text, "through");
}

TEST_F(OutputFile, ALinkToAnOpenPipeIsOne) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd reader(ends[0]), writer(ends[1]);
    EXPECT_TRUE(write_output_file("/proc/self/fd/" + std::to_string(writer.get()), "through"));
    std::array<char, 20> text{};
    EXPECT_EQ(::read(reader.get(), text.data(), text.size()), 7);
}

TEST_F(OutputFile, ADeviceStaysOne) {
    fs::create_symlink("/dev/full", folder_ / "full");
    EXPECT_FALSE(write_output_file(in("full"), "more than it holds"));
    EXPECT_TRUE(S_ISLNK(mode_of(in("full"))));
    struct stat status{};
    ASSERT_EQ(::stat(in("full").c_str(), &status), 0);
    EXPECT_TRUE(S_ISCHR(status.st_mode));
}

TEST_F(OutputFile, WhetherItCanBeWrittenIsKnownBefore) {
    EXPECT_TRUE(check_output_file(in("new")));
    EXPECT_FALSE(fs::exists(in("new")));
    EXPECT_TRUE(check_output_file("/dev/full"));  // that there is no room shows when it is written
    EXPECT_FALSE(check_output_file(in("missing/file")));
    EXPECT_FALSE(check_output_file(in(".")));
    fs::create_symlink("nowhere", folder_ / "link");
    EXPECT_FALSE(check_output_file(in("link")));
}

TEST_F(OutputFile, AFolderIsAnErrorAndStays) {
    fs::create_directory(folder_ / "folder");
    EXPECT_FALSE(write_output_file(in("folder"), "text"));
    EXPECT_TRUE(fs::is_directory(folder_ / "folder"));
    EXPECT_FALSE(write_output_file(in("missing/file"), "text"));
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "nothing is left beside it";
}

}  // namespace
}  // namespace cpulevel
