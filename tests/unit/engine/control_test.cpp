// Requests as signals carry them, answers as a record does, and who is in a tree.
#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "engine/ptrace/answers.h"
#include "engine/ptrace/control.h"
#include "engine/ptrace/process_list.h"

namespace cpulevel::engine::ptrace {
namespace {

TEST(Request, GoesThroughASignalsValue) {
    for (const auto kind : {Request::Kind::let_go, Request::Kind::take_up}) {
        for (const bool stopped : {false, true}) {
            for (const int seconds : {1, 10, 255, 256, 3600, 65535}) {
                const Request request{kind, stopped, static_cast<std::uint16_t>(seconds)};
                const int signal = kind == Request::Kind::let_go ? kLetGoSignal : kTakeUpSignal;
                EXPECT_EQ(Request::of(signal, request.value()), request);
            }
        }
    }
}

TEST(Request, APlainKillHasTheDefaults) {
    EXPECT_EQ(Request::of(kLetGoSignal, 0), Request{});
    EXPECT_EQ(Request::of(kTakeUpSignal, 0).kind, Request::Kind::take_up);
}

TEST(Request, AnyValueIsSomeRequest) {
    std::mt19937 random(1);
    for (int i = 0; i < 10'000; ++i) {
        const Request request = Request::of(kLetGoSignal, static_cast<int>(random()));
        EXPECT_NE(request.patience, 0);
    }
}

ReleaseReport released() {
    ReleaseReport report;
    report.supervisor = 7;
    report.level = "fleet";
    report.left_stopped = true;
    report.done.processes = {8, 9};
    report.done.stopped = {8};
    report.done.stopped_before = {9};
    report.done.threads = 3;
    report.done.cpuid_traps = 4;
    report.done.jumps = 5;
    report.unlevelled = unlevelled_after(report.done, CpuidMethod::planted);
    return report;
}

TEST(Answers, AReleaseIsReadAsItWasWritten) {
    const ReleaseReport report = released();
    const auto read = parse_release_answer(answer_text(report));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->level, "fleet");
    EXPECT_TRUE(read->left_stopped);
    EXPECT_EQ(read->done.processes, report.done.processes);
    EXPECT_EQ(read->done.stopped, report.done.stopped);
    EXPECT_EQ(read->done.stopped_before, report.done.stopped_before);
    EXPECT_EQ(read->done.threads, 3U);
    EXPECT_EQ(read->done.cpuid_traps, 4U);
    EXPECT_EQ(read->done.jumps, 5U);
    EXPECT_EQ(read->unlevelled, report.unlevelled);
}

TEST(Answers, AnAdoptionIsReadAsItWasWritten) {
    AdoptReport report;
    report.level = "fleet";
    report.done.processes = {8};
    report.done.told_more = {8};
    report.done.problems = {"one"};
    report.done.answers = 1;
    report.stays = stays_after(report.done);
    ASSERT_EQ(report.stays.size(), 1U);
    const auto read = parse_adopt_answer(answer_text(report));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->done.told_more, report.done.told_more);
    EXPECT_EQ(read->done.problems, report.done.problems);
    EXPECT_EQ(read->stays, report.stays);
}

TEST(Answers, AnErrorIsThatError) {
    const Error error{ErrorKind::machine, "cannot", "thread 5", 3, "why", "hint"};
    const auto read = parse_release_answer(answer_text(error));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().message(), error.message());
    EXPECT_EQ(read.error().hint, "hint");
    EXPECT_FALSE(parse_adopt_answer(answer_text(error)));
}

TEST(Answers, TheLongestFitsIntoARecord) {
    ReleaseReport release = released();
    for (pid_t pid = 4'000'000; pid < 4'010'000; ++pid) {
        release.done.processes.push_back(pid);
        release.done.stopped.push_back(pid);
        release.done.stopped_before.push_back(pid);
    }
    release.unlevelled.assign(1000, std::string(5000, 'x'));
    EXPECT_LE(answer_text(release).size(), TreeRecord::kMostAnswer);
    EXPECT_TRUE(parse_release_answer(answer_text(release)));
    AdoptReport adopt;
    for (auto* list : {&adopt.done.processes, &adopt.done.continued, &adopt.done.still_stopped, &adopt.done.told_more, &adopt.done.unprepared}) {
        *list = release.done.processes;
    }
    adopt.done.problems.assign(1000, std::string(5000, '\x01'));
    adopt.stays = adopt.done.problems;
    EXPECT_LE(answer_text(adopt).size(), TreeRecord::kMostAnswer);
    EXPECT_TRUE(parse_adopt_answer(answer_text(adopt)));
}

TEST(Answers, WhatIsNoneIsAnError) {
    const std::string whole = answer_text(released());
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        EXPECT_FALSE(parse_release_answer(std::string_view(whole).substr(0, cut))) << cut;
    }
    for (const char* text : {"null", "[]", "{}", R"({"error":{}})", R"({"error":{"kind":9,"what":"","on":"","errno":0,"why":"","hint":""}})"}) {
        EXPECT_FALSE(parse_release_answer(text)) << text;
        EXPECT_FALSE(parse_adopt_answer(text)) << text;
    }
    std::string negative = whole;
    negative.replace(negative.find("[8,9]"), 5, "[-8,9]");
    EXPECT_FALSE(parse_release_answer(negative));
}

// The naive way: everybody whose chain of parents meets a root.
TEST(Family, IsWhoDescendsFromARoot) {
    std::mt19937 random(2);
    for (int round = 0; round < 300; ++round) {
        std::vector<ProcessParent> all;
        std::map<pid_t, pid_t> parents;
        const auto count = static_cast<pid_t>(1 + random() % 30);
        for (pid_t process = 1; process <= count; ++process) {
            const auto parent = static_cast<pid_t>(random() % static_cast<unsigned>(count + 1));  // perhaps in a circle
            all.push_back({process, parent});
            parents[process] = parent;
        }
        const std::vector<pid_t> roots{static_cast<pid_t>(1 + random() % 40), static_cast<pid_t>(1 + random() % 40)};
        std::set<pid_t> expected;
        for (const auto& [process, unused] : parents) {
            pid_t at = process;
            for (int steps = 0; steps <= count && at != 0; ++steps, at = parents[at]) {
                if ((at == roots[0] || at == roots[1]) && parents.contains(at)) expected.insert(process);
            }
        }
        const auto family = family_of(roots, all);
        EXPECT_EQ(std::set<pid_t>(family.begin(), family.end()), expected);
        EXPECT_EQ(family.size(), expected.size()) << "one twice";
    }
}

TEST(Family, AThreadsListHasItself) {
    const auto threads = threads_of(::getpid());
    EXPECT_EQ(threads.size(), 1U);
    EXPECT_TRUE(threads_of(0x7ffffffe).empty());
}

TEST(Birth, IsTheSameUntilARestore) {
    const Birth birth;
    EXPECT_FALSE(birth.restored_since());
}

}  // namespace
}  // namespace cpulevel::engine::ptrace
