#include "cpuid/known_files.h"

#include <gtest/gtest.h>

#include "stub_pieces.h"

namespace cpulevel::cpuid {
namespace {

TEST(KnownFiles, FindsTheCallThatALoaderAsksBy) {
    const Bytes fstat = bytes({0x90, 0xb8, 5, 0, 0, 0, 0x48, 0x89, 0xfe, 0x0f, 0x05, 0xc3});
    const Bytes newfstatat = bytes({0xb8, 6, 1, 0, 0, 0x0f, 0x05, 0xc3});
    EXPECT_EQ(file_call(fstat), KnownFiles::kFstat);
    EXPECT_EQ(file_call(newfstatat), KnownFiles::kNewfstatat);
    Bytes both = newfstatat;
    both.insert(both.end(), fstat.begin(), fstat.end());
    EXPECT_EQ(file_call(both), KnownFiles::kFstat);
}

TEST(KnownFiles, TakesNoOtherCallForIt) {
    EXPECT_EQ(file_call({}), KnownFiles::kNoCall);
    EXPECT_EQ(file_call(bytes({0xb8, 5, 0, 0, 0})), KnownFiles::kNoCall);                          // the end
    EXPECT_EQ(file_call(bytes({0xb8, 5, 0, 0, 0, 0xc3, 0x90, 0x90, 0x90})), KnownFiles::kNoCall);  // returned
    EXPECT_EQ(file_call(bytes({0xb8, 5, 0, 1, 0, 0x0f, 0x05})), KnownFiles::kNoCall);              // another number
    Bytes far(64, std::byte{0x90});
    far[0] = std::byte{0xb8};
    far[1] = std::byte{5};
    far[2] = far[3] = far[4] = std::byte{0};
    far[62] = std::byte{0x0f};
    far[63] = std::byte{0x05};
    EXPECT_EQ(file_call(far), KnownFiles::kNoCall);
}

}  // namespace
}  // namespace cpulevel::cpuid
