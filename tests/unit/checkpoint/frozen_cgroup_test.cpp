// Where the folder of a process's cgroup is.
#include <gtest/gtest.h>

#include "checkpoint/frozen_cgroup.h"

namespace cpulevel::checkpoint {
namespace {

constexpr const char* kTwoVersions =
    "29 24 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "31 29 0:27 / /sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer\n"
    "38 29 0:34 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(FrozenCgroup, VersionTwoAlone) {
    EXPECT_EQ(cgroup_folder("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "0::/user.slice/a\n"),
              "/sys/fs/cgroup/user.slice/a");
}

TEST(FrozenCgroup, BesideVersionOne) {
    EXPECT_EQ(cgroup_folder(kTwoVersions, "6:freezer:/one\n0::/two\n"), "/sys/fs/cgroup/unified/two");
    EXPECT_EQ(cgroup_folder(kTwoVersions, "6:freezer:/one\n0::/\n"), "/sys/fs/cgroup/unified");
}

TEST(FrozenCgroup, APartOfTheHierarchyIsMounted) {
    constexpr const char* kPart = "30 23 0:26 /pods/p1 /cg rw - cgroup2 cgroup2 rw\n";
    EXPECT_EQ(cgroup_folder(kPart, "0::/pods/p1/a\n"), "/cg/a");
    EXPECT_EQ(cgroup_folder(kPart, "0::/pods/p1\n"), "/cg");
    EXPECT_EQ(cgroup_folder(kPart, "0::/pods/p11\n"), std::nullopt);
    EXPECT_EQ(cgroup_folder(kPart, "0::/\n"), std::nullopt);
}

TEST(FrozenCgroup, NotMounted) {
    EXPECT_EQ(cgroup_folder("", "0::/a\n"), std::nullopt);
    EXPECT_EQ(cgroup_folder(kTwoVersions, "6:freezer:/one\n"), std::nullopt);
    EXPECT_EQ(cgroup_folder("30 - cgroup2 \n", "0::/a\n"), std::nullopt);
}

}  // namespace
}  // namespace cpulevel::checkpoint
