// The line of CRIU's log that says why. The logs are CRIU 4.1.1's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "checkpoint/criu_log.h"
#include "checkpoint/criu_process.h"
#include "../temporary_folder.h"

namespace cpulevel::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::Field;
using ::testing::HasSubstr;

TEST(CriuLog, TheFirstErrorIsTheCause) {
    const auto explained = explain(
        "Warn  (compel/src/lib/infect.c:133): Unable to interrupt task: 38 (Operation not permitted)\n"
        "(00.277506) Error (criu/files-reg.c:1790): Can't lookup mount=74 for fd=1 path=/travel/work/b/out\n"
        "(00.277540) Error (criu/cr-dump.c:1681): Dump files (pid: 29) failed with -1\n"
        "(00.406450) Error (criu/cr-dump.c:2111): Dumping FAILED.\n");
    EXPECT_EQ(explained.line, "Can't lookup mount=74 for fd=1 path=/travel/work/b/out");
    EXPECT_THAT(explained.advice, HasSubstr("mount namespace"));
}

TEST(CriuLog, AnErrorWithAnAdviceGoesBeforeOneWithout) {
    const auto explained = explain(
        "Error (criu/util.c:656): exited, status=1\n"
        "Error (criu/tty.c:1): tty: Found dangling tty with sid 7 pgid 7 (pts) on peer fd 0.\n"
        "Error (criu/tty.c:2): Consider using --shell-job option. But be careful.\n"
        "Error (criu/cr-dump.c:2111): Dumping FAILED.\n");
    EXPECT_THAT(explained.line, HasSubstr("--shell-job"));
    EXPECT_THAT(explained.advice, HasSubstr("setsid"));
}

// CRIU says it at each start, as root without CAP_SYS_RESOURCE, and goes on.
TEST(CriuLog, WhatIsSaidByTheWayIsNotTheCause) {
    const std::string limit =
        "Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n";
    EXPECT_THAT(explain(limit).advice, HasSubstr("fs.nr_open"));
    EXPECT_EQ(explain(limit + "Error (criu/util.c:656): exited, status=1\n"
                              "Error (criu/action-scripts.c:94): Script /bin/false exited with -1\n")
                  .line,
              "Script /bin/false exited with -1");
}

// What no option of CRIU's helps against, or another than the one that it names.
TEST(CriuLog, SocketsAndTerminals) {
    EXPECT_THAT(explain("Error (criu/sk-unix.c:868): unix: External socket is used. Consider using --ext-unix-sk option.\n").advice,
                HasSubstr("give --ext-unix-sk"));
    EXPECT_THAT(explain("Error (criu/sk-unix.c:874): unix: Can't dump half of stream unix connection.\n").advice,
                HasSubstr("has to be closed first"));
    EXPECT_THAT(explain("Error (criu/sockets.c:628): sockets: Can't get 1:16 opt: Operation not supported\n").advice,
                HasSubstr("CRIU before 4.2"));
    EXPECT_THAT(explain("     23: Error (criu/tty.c:1010): tty: Don't have tty to inherit session from, aborting\n"
                        "     23: Error (criu/files.c:1221): Unable to open fd=0 id=0x2\n")
                    .advice,
                HasSubstr("restore it at a terminal"));
}

TEST(CriuLog, OfARestoredProcess) {
    const auto explained =
        explain("  3210: Error (criu/files-reg.c:2219): File usr/lib/libc.so.6 has bad size 1 (expect 2)\n");
    EXPECT_EQ(explained.line, "File usr/lib/libc.so.6 has bad size 1 (expect 2)");
    EXPECT_THAT(explained.advice, HasSubstr("same version"));
}

TEST(CriuLog, WithoutAnErrorThereIsNothingToExplain) {
    EXPECT_TRUE(explain("").line.empty());
    EXPECT_TRUE(explain("Warn  (criu/kerndat.c:1): something\n").line.empty());
}

TEST(CriuLog, ControlCharactersDoNotReachTheTerminal) {
    EXPECT_EQ(explain("Error (criu/x.c:1): a\x1b[2Jb\n").line, "a\\x1b[2Jb");
}

TEST(CriuLog, OurOwnLinesAreFound) {
    EXPECT_THAT(own_lines("(00.1) Running pre-dump scripts\ncpulevel: this checkpoint cannot go there\nError "
                          "(criu/util.c:656): exited\n"),
                ::testing::ElementsAre("this checkpoint cannot go there"));
}

TEST(CriuLog, WhatIsSaidOutsideOfIt) {
    EXPECT_EQ(said_outside_of_log("criu: unrecognized option '--bogus'\n\nUsage:\n  criu dump|pre-dump\n"), "criu: unrecognized option '--bogus'");
    EXPECT_EQ(said_outside_of_log("CRIU needs to have the CAP_SYS_ADMIN capability: \nsetcap cap_sys_admin+eip criu\nand more\n"),
              "CRIU needs to have the CAP_SYS_ADMIN capability: setcap cap_sys_admin+eip criu");
    EXPECT_EQ(said_outside_of_log(" \n"), "");
    EXPECT_LT(said_outside_of_log(std::string(10000, 'x')).size(), 400U);
}

// What an earlier run has written says nothing about this one.
TEST(CriuLog, OfThisRunOnly) {
    const test::TemporaryFolder folder;
    const std::string path = folder.path() + "/restore.log";
    const auto write = [&](const std::string& text) { folder.write("restore.log", text); };
    write("Error (a.c:1): earlier\n");
    const CriuLog log(path);
    EXPECT_FALSE(log.of_this_run());
    write("Error (a.c:1): now\n");
    EXPECT_EQ(log.of_this_run(), "Error (a.c:1): now\n");
    const CriuEnd end{1, "Error (b.c:1): outside\n"};
    EXPECT_THAT(criu_error("it failed", log, end), Field(&Error::why, "CRIU: now"));
    EXPECT_THAT(criu_error("it failed", log, end), Field(&Error::hint, HasSubstr(path)));
    const CriuLog none(path);
    EXPECT_THAT(criu_error("it failed", none, end), AllOf(Field(&Error::why, "CRIU: outside"), Field(&Error::hint, "")));
    EXPECT_THAT(criu_error("it failed", none, {1, "You cannot\n"}), Field(&Error::why, "CRIU: You cannot"));
    EXPECT_THAT(criu_error("it failed", none, {1, ""}), Field(&Error::why, HasSubstr("status 1")));
}

}  // namespace
}  // namespace cpulevel::checkpoint
