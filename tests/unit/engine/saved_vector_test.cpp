// A descriptor of a saved vector answers for the image that it was opened on, also when the process has another, or none.
#include "engine/ptrace/saved_vector.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "engine/probe/own_image.h"
#include "engine/ptrace/task.h"

namespace cpulevel::engine::ptrace {
namespace {

// A child that waits to be told, sets AT_HWCAP2 to zero bits in its saved vector, and executes /bin/true.
class Marker {
   public:
    explicit Marker(bool marks) {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) return;
        pid_ = ::fork();
        if (pid_ == 0) {
            char byte = 0;
            if (::read(ends[0], &byte, 1) != 1) ::_exit(1);
            probe::NativeAuxVector vector;
            if (!probe::read_own_auxv(vector)) ::_exit(2);
            if (auto* entry = vector.find(inherit::kAtHwcap)) entry->value &= entry->value - 1;
            if (marks && probe::replace_saved_vector(vector) != 0) ::_exit(3);
            ::execl("/bin/true", "true", nullptr);
            ::_exit(4);
        }
        ::close(ends[0]);
        go_ = ends[1];
    }
    int finish() {
        [[maybe_unused]] const ssize_t ignored = ::write(go_, "x", 1);
        ::close(go_);
        int status = -1;
        ::waitpid(pid_, &status, 0);
        return status;
    }
    [[nodiscard]] pid_t pid() const { return pid_; }

   private:
    pid_t pid_ = -1;
    int go_ = -1;
};

AddressSpace followed(pid_t pid) {
    AddressSpace space;
    space.saved = SavedVector::open(pid, inherit::WordSize::bits64).value();
    remember_vector(space);
    return space;
}

TEST(SavedVector, TellsWhatWasSetAfterTheImageIsGone) {
    Marker marker(true);
    AddressSpace space = followed(marker.pid());
    const auto before = space.known_words[0];
    ASSERT_TRUE(before);
    ASSERT_EQ(marker.finish(), 0);
    take_marks(space);
    ASSERT_TRUE(space.marks.marked());
    EXPECT_EQ(space.marks.values.at(space.abi)[0], *before & (*before - 1));
}

TEST(SavedVector, AnImageThatWasLeftAloneIsNotMarked) {
    Marker marker(false);
    AddressSpace space = followed(marker.pid());
    ASSERT_EQ(marker.finish(), 0);
    take_marks(space);
    EXPECT_FALSE(space.marks.marked());
}

TEST(SavedVector, TheSameWordsAreNoNewMark) {
    Marker marker(true);
    AddressSpace space = followed(marker.pid());
    ASSERT_EQ(marker.finish(), 0);
    take_marks(space);
    space.marks = {};
    take_marks(space);
    EXPECT_FALSE(space.marks.marked());
}

TEST(SavedVector, AProcessThatIsGoneIsAnError) {
    Marker marker(false);
    ASSERT_EQ(marker.finish(), 0);
    const auto opened = SavedVector::open(marker.pid(), inherit::WordSize::bits64);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().errno_value, ENOENT);
}

}  // namespace
}  // namespace cpulevel::engine::ptrace
