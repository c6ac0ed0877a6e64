// Records of trees: found, current, gone with their process; and what is not a record is not believed and does no harm.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <functional>

#include "engine/registry.h"
#include "engine/registry_layout.h"

namespace cpulevel::engine {
namespace {

// A process that does something, says that it has, and lives until the test lets it go.
class Helper {
   public:
    explicit Helper(const std::function<void()>& body) {
        std::array<int, 2> ready{};
        std::array<int, 2> hold{};
        if (::pipe2(ready.data(), O_CLOEXEC) != 0 || ::pipe2(hold.data(), O_CLOEXEC) != 0) return;
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::close(hold[1]);
            body();
            char byte = 'r';
            if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
            while (::read(hold[0], &byte, 1) < 0 && errno == EINTR) {
            }
            ::_exit(0);
        }
        ::close(hold[0]);
        ::close(ready[1]);
        hold_ = Fd(hold[1]);
        char byte = 0;
        is_ready_ = ::read(ready[0], &byte, 1) == 1;
        ::close(ready[0]);
    }
    Helper(const Helper&) = delete;
    Helper& operator=(const Helper&) = delete;
    ~Helper() { end(); }
    void end() {
        if (pid_ <= 0) return;
        hold_.reset();
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool is_ready() const { return is_ready_; }

   private:
    pid_t pid_ = -1;
    Fd hold_;
    bool is_ready_ = false;
};

TreeDescription example() {
    return {"fleet-2026",
            "ptrace",
            "CPUID faulting",
            {"make", "-j2", "it's all"},
            {{"CPUID", ChannelState::full, ""}, {"/proc/PID/auxv", ChannelState::partial, "no\tPR_SET_MM_MAP\nhere"}}};
}

const TreeView* tree_of(const TreeListing& listing, pid_t supervisor) {
    const auto at = std::ranges::find(listing.trees, supervisor, &TreeView::supervisor);
    return at == listing.trees.end() ? nullptr : &*at;
}

bool has_problem_with(const TreeListing& listing, pid_t pid, std::string_view words) {
    const std::string start = "process " + std::to_string(pid) + ",";
    return std::ranges::any_of(listing.problems, [&](const std::string& problem) {
        return problem.starts_with(start) && problem.find(words) != std::string::npos;
    });
}

TEST(Registry, ARecordIsFoundWithAllItSays) {
    auto record = TreeRecord::create(example());
    ASSERT_TRUE(record) << record.error().message();
    record->counters().execs.store(12, std::memory_order_relaxed);
    const TreeListing listing = list_trees();
    const TreeView* tree = tree_of(listing, ::getpid());
    ASSERT_NE(tree, nullptr);
    EXPECT_EQ(tree->level, "fleet-2026");
    EXPECT_EQ(tree->engine, "ptrace");
    EXPECT_EQ(tree->cpuid_method, "CPUID faulting");
    EXPECT_EQ(tree->command, "make -j2 'it'\\''s all'");
    EXPECT_EQ(tree->owner, ::getuid());
    EXPECT_EQ(tree->execs, 12U);
    ASSERT_EQ(tree->coverage.size(), 2U);
    EXPECT_EQ(tree->coverage[1].name, "/proc/PID/auxv");
    EXPECT_EQ(tree->coverage[1].state, ChannelState::partial);
    EXPECT_EQ(tree->coverage[1].why, "no PR_SET_MM_MAP here");

    record->counters().execs.fetch_add(30, std::memory_order_relaxed);
    EXPECT_EQ(tree_of(list_trees(), ::getpid())->execs, 42U) << "counts are those of now";
}

TEST(Registry, TheLevelItselfIsBesideTheRecord) {
    TreeDescription with_level = example();
    with_level.level_text = "{\"name\": \"fleet-2026\"}\n";
    const auto record = TreeRecord::create(with_level);
    ASSERT_TRUE(record) << record.error().message();
    const auto text = read_level_text(::getpid());
    ASSERT_TRUE(text) << text.error().message();
    EXPECT_EQ(*text, with_level.level_text);
}

TEST(Registry, ALevelThatIsNotPublishedOrNotSealedIsAnError) {
    const auto record = TreeRecord::create(example());
    ASSERT_TRUE(record);
    const auto none = read_level_text(::getpid());
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message().find("publishes none"), std::string::npos) << none.error().message();

    const Fd open(::memfd_create(layout::kLevelMemfdName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::write(open.get(), "{}", 2), 2);
    const auto changeable = read_level_text(::getpid());
    ASSERT_FALSE(changeable);
    EXPECT_NE(changeable.error().message().find("is not sealed"), std::string::npos) << changeable.error().message();
}

TEST(Registry, ARecordEndsWithItsOwner) {
    {
        auto record = TreeRecord::create(example());
        ASSERT_TRUE(record);
        ASSERT_NE(tree_of(list_trees(), ::getpid()), nullptr);
        TreeRecord moved = std::move(*record);
        EXPECT_NE(tree_of(list_trees(), ::getpid()), nullptr) << "moving keeps it";
    }
    EXPECT_EQ(tree_of(list_trees(), ::getpid()), nullptr);
}

TEST(Registry, AKilledSupervisorLeavesNothing) {
    Helper helper([] { new TreeRecord(std::move(*TreeRecord::create(example()))); });
    ASSERT_TRUE(helper.is_ready());
    const pid_t pid = helper.pid();
    ASSERT_NE(tree_of(list_trees(), pid), nullptr);
    ::kill(pid, SIGKILL);
    helper.end();
    EXPECT_EQ(tree_of(list_trees(), pid), nullptr);
}

// A child that has not yet called exec shares the supervisor's descriptors; it is no supervisor.
TEST(Registry, ACopyInAChildIsNotASecondTree) {
    auto record = TreeRecord::create(example());
    ASSERT_TRUE(record);
    const Helper child([] {});
    const TreeListing listing = list_trees();
    EXPECT_NE(tree_of(listing, ::getpid()), nullptr);
    EXPECT_EQ(tree_of(listing, child.pid()), nullptr);
    EXPECT_FALSE(has_problem_with(listing, child.pid(), ""));
}

TEST(Registry, NobodyElseCanChangeARecord) {
    auto record = TreeRecord::create(example());
    ASSERT_TRUE(record);
    bool found = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code error;
        if (std::filesystem::read_symlink(entry.path(), error) != layout::kLinkTarget) continue;
        found = true;
        const Fd other(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
        if (!other.valid()) continue;  // refused already
        EXPECT_EQ(::ftruncate(other.get(), 0), -1);
        EXPECT_EQ(::ftruncate(other.get(), 1 << 20), -1);
        EXPECT_EQ(::write(other.get(), "x", 1), -1);
        EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other.get(), 0), MAP_FAILED);
    }
    EXPECT_TRUE(found);
    record->counters().processes.store(3, std::memory_order_relaxed);
    EXPECT_EQ(tree_of(list_trees(), ::getpid())->processes, 3U);
}

TEST(Registry, LongTextsAreCutAndNeverHalf) {
    TreeDescription description = example();
    description.level = std::string(1000, 'l');
    description.command = {std::string(254, 'x') + std::string(5000, 'y')};
    for (int i = 0; i < 100; ++i) description.coverage.push_back({"channel", ChannelState::none, std::string(100, 'w')});
    auto record = TreeRecord::create(description);
    ASSERT_TRUE(record);
    const TreeListing listing = list_trees();
    const TreeView* tree = tree_of(listing, ::getpid());
    ASSERT_NE(tree, nullptr);
    EXPECT_EQ(tree->level, std::string(255, 'l'));
    EXPECT_EQ(tree->command.size(), 1023U);
    EXPECT_GT(tree->coverage.size(), 10U);
    EXPECT_EQ(tree->coverage.back().why, std::string(100, 'w'));
}

TEST(Registry, ACutUtf8TextStaysUtf8) {
    TreeDescription description = example();
    description.level = std::string(254, 'l') + "\xc3\xa9";  // the letter's second byte would be the 256th
    auto record = TreeRecord::create(description);
    ASSERT_TRUE(record);
    EXPECT_EQ(tree_of(list_trees(), ::getpid())->level, std::string(254, 'l'));
}

// What follows has the name of a record and is none. `make` runs in a process of its own.
struct Forgery {
    std::string what;
    std::string words;  // in the problem that is reported
    std::function<void()> make;
};

int memory_file(std::size_t size) {
    const int fd = ::memfd_create(layout::kMemfdName, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0) ::_exit(1);
    return fd;
}

void seal(int fd) { ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL); }

void forge(const std::function<void(layout::Record&)>& change, bool sealed = true) {
    const int fd = memory_file(sizeof(layout::Record));
    layout::Record record;
    record.magic = layout::kMagic;
    record.version = layout::kVersion;
    record.pid = ::getpid();
    change(record);
    if (::write(fd, static_cast<const void*>(&record), sizeof record) != sizeof record) ::_exit(1);
    if (sealed) seal(fd);
}

TEST(Registry, ForgeriesAreReportedAndNotShown) {
    const std::vector<Forgery> forgeries{
        {"empty", "0 bytes", [] { seal(memory_file(0)); }},
        {"cut", "bytes", [] { seal(memory_file(sizeof(layout::Record) - 1)); }},
        {"huge", "bytes", [] { seal(memory_file(std::size_t{1} << 40U)); }},
        {"zeros", "does not begin", [] { seal(memory_file(sizeof(layout::Record))); }},
        {"not sealed", "not sealed", [] { forge([](layout::Record&) {}, false); }},
        {"newer", "version 3", [] { forge([](layout::Record& r) { r.version = 3; }); }},
        {"in an unknown state", "unknown state", [] { forge([](layout::Record& r) { r.control.state = 77; }); }},
        {"text without end", "without an end", [] { forge([](layout::Record& r) { r.level.fill('x'); }); }},
        {"coverage without end", "without an end", [] { forge([](layout::Record& r) { r.coverage.fill('\n'); }); }},
        {"coverage of another shape", "without an end",
         [] { forge([](layout::Record& r) { std::strcpy(r.coverage.data(), "splendid\tCPUID\t\n"); }); }},
    };
    for (const Forgery& forgery : forgeries) {
        const Helper helper(forgery.make);
        ASSERT_TRUE(helper.is_ready()) << forgery.what;
        const TreeListing listing = list_trees();
        EXPECT_EQ(tree_of(listing, helper.pid()), nullptr) << forgery.what;
        EXPECT_TRUE(has_problem_with(listing, helper.pid(), forgery.words))
            << forgery.what << ": " << testing::PrintToString(listing.problems);
    }
}

TEST(Registry, AForgeryBesideTheRealRecordDoesNotHideIt) {
    Helper helper([] {
        seal(memory_file(1));
        new TreeRecord(std::move(*TreeRecord::create(example())));
        seal(memory_file(2));
    });
    ASSERT_TRUE(helper.is_ready());
    EXPECT_NE(tree_of(list_trees(), helper.pid()), nullptr);
}

// A record that names another process: nobody can make somebody else appear as a supervisor.
TEST(Registry, ARecordOfAnotherPidDoesNotCount) {
    const Helper helper([] { forge([](layout::Record& record) { record.pid = 1; }); });
    ASSERT_TRUE(helper.is_ready());
    const TreeListing listing = list_trees();
    EXPECT_EQ(tree_of(listing, helper.pid()), nullptr);
    EXPECT_EQ(tree_of(listing, 1), nullptr);
}

// Links that read like a record's in a /proc made of files: a pipe would block an opener, a plain file has no seals.
TEST(Registry, OtherFilesOfThatNameAreNotTouched) {
    std::string pattern = (std::filesystem::temp_directory_path() / "cpulevel-proc-XXXXXX").string();
    const std::filesystem::path proc = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(proc / "77" / "fd");
    std::filesystem::create_symlink(layout::kLinkTarget, proc / "77" / "fd" / "5");  // leads nowhere
    std::filesystem::create_directories(proc / "78" / "fd");
    ::mkfifo((proc / "78" / "fd" / "6").c_str(), 0600);
    const TreeListing listing = list_trees(proc.string());
    EXPECT_THAT(listing.trees, testing::IsEmpty());
    const TreeListing nothing = list_trees((proc / "missing").string());
    EXPECT_THAT(nothing.trees, testing::IsEmpty());
    std::filesystem::remove_all(proc);
}

TEST(Registry, AMemberLeadsToItsTree) {
    auto record = TreeRecord::create(example());
    ASSERT_TRUE(record);
    const Helper member([] {});
    const auto before = find_tree(member.pid());
    ASSERT_TRUE(before);
    EXPECT_FALSE(*before) << "an ordinary child is in no tree";

    if (::ptrace(PTRACE_SEIZE, member.pid(), nullptr, nullptr) != 0) {
        GTEST_SKIP() << "SKIPPED: ptrace is refused here: " << std::strerror(errno);
    }
    const auto tree = find_tree(member.pid());
    ASSERT_TRUE(tree);
    ASSERT_TRUE(*tree);
    EXPECT_EQ((*tree)->supervisor, ::getpid());
    EXPECT_EQ(tracer_of(member.pid()).value_or(0), ::getpid());
    const auto members = tree_members(**tree);
    ASSERT_EQ(members.size(), 1U);
    EXPECT_EQ(members[0].pid, member.pid());
    EXPECT_FALSE(members[0].name.empty());

    const auto own = find_tree(::getpid());
    ASSERT_TRUE(own);
    ASSERT_TRUE(*own);
    EXPECT_EQ((*own)->supervisor, ::getpid());
}

TEST(Registry, NoSuchProcessIsAnError) {
    const auto tree = find_tree(0x7ffffffe);
    ASSERT_FALSE(tree);
    EXPECT_EQ(tree.error().message(), "no such process: 2147483646");
}

}  // namespace
}  // namespace cpulevel::engine
