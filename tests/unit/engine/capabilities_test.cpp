// The probes against the machine, each checked by another road than the one it took; what they conclude from files, against
// machines made of files.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "engine/capabilities.h"
#include "engine/probe/own_image.h"
#include "engine/probe/probes.h"

namespace cpulevel::engine {
namespace {

namespace fs = std::filesystem;

// A machine made of files.
class FakeRoot {
   public:
    FakeRoot() {
        std::string pattern = (fs::temp_directory_path() / "cpulevel-root-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    FakeRoot(const FakeRoot&) = delete;
    FakeRoot& operator=(const FakeRoot&) = delete;
    ~FakeRoot() { fs::remove_all(path_); }
    void put(const std::string& file, std::string_view content) const {
        const fs::path place = path_ + file;
        fs::create_directories(place.parent_path());
        std::ofstream(place, std::ios::binary) << content;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    std::string path_;
};

std::string auxv_now() {
    std::ifstream file("/proc/self/auxv", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Capabilities, TheWholeCheckLeavesTheCallerAsItWas) {
    const std::string auxv = auxv_now();
    const int no_new_privs = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    struct sigaction segv_before{};
    ::sigaction(SIGSEGV, nullptr, &segv_before);
    const CheckReport report = check_machine({.root = {}, .run_criu = false});
    EXPECT_EQ(auxv_now(), auxv);
    struct sigaction segv_after{};
    ::sigaction(SIGSEGV, nullptr, &segv_after);
    EXPECT_EQ(segv_before.sa_sigaction, segv_after.sa_sigaction);
    EXPECT_EQ(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), no_new_privs);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a probe's child was not waited for";
    EXPECT_FALSE(report.kernel.empty());

    std::set<std::string> ids;
    for (const Capability& capability : report.capabilities) {
        EXPECT_TRUE(ids.insert(capability.id).second) << capability.id << " twice";
        EXPECT_FALSE(capability.gives.empty()) << capability.id;
        EXPECT_EQ(capability.missing.empty(), capability.works == Works::yes)
            << capability.id << ": what is missing is said exactly when something is: " << capability.missing;
    }
}

TEST(Capabilities, SumUpWhatRunNeeds) {
    CheckReport report;
    const auto add = [&report](std::string id, Works works, Need need) {
        Capability capability;
        capability.id = std::move(id);
        capability.works = works;
        capability.need = need;
        report.capabilities.push_back(capability);
    };
    add("a", Works::yes, Need::start);
    add("b", Works::no, Need::nothing);
    EXPECT_TRUE(report.run_starts());
    EXPECT_TRUE(report.run_covers_everything());
    add("c", Works::partial, Need::coverage);
    EXPECT_TRUE(report.run_starts());
    EXPECT_FALSE(report.run_covers_everything());
    add("d", Works::no, Need::start);
    EXPECT_FALSE(report.run_starts());
    EXPECT_FALSE(report.run_covers_everything());
}

// The same call by hand: PTRACE_TRACEME is another way in than the probe's PTRACE_SEIZE.
TEST(Capabilities, PtraceAgreesWithTraceMe) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const bool allowed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    EXPECT_EQ(probe::ptrace("").works == Works::yes, allowed) << probe::ptrace("").detail;
}

#if defined(__x86_64__)
TEST(Capabilities, CpuidFaultingAgreesWithDeathBySigsegv) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGSEGV, SIG_DFL);
        if (::syscall(SYS_arch_prctl, 0x1012, 0UL) != 0) ::_exit(3);
        unsigned a = 0, b = 0, c = 0, d = 0;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const bool faults = WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
    EXPECT_EQ(probe::cpuid_faulting("").works != Works::no, faults) << probe::cpuid_faulting("").detail;
}
#endif

TEST(Capabilities, AFlagThatContradictsTheDeedIsALineOfItsOwn) {
    const bool works = probe::cpuid_faulting("").works != Works::no;
    const FakeRoot liar;
    liar.put("/proc/cpuinfo", works ? "flags\t\t: fpu sse\n" : "processor\t: 0\nflags\t\t: fpu cpuid_fault sse\n");
    EXPECT_NE(probe::cpuid_faulting(liar.path()).detail.find("which is wrong"), std::string::npos);
    const FakeRoot honest;
    honest.put("/proc/cpuinfo", works ? "flags\t\t: fpu cpuid_fault\n" : "flags\t\t: fpu xcpuid_fault cpuid_faults\n");
    EXPECT_EQ(probe::cpuid_faulting(honest.path()).detail.find("which is wrong"), std::string::npos);
    const FakeRoot silent;
    EXPECT_EQ(probe::cpuid_faulting(silent.path()).detail.find("which is wrong"), std::string::npos);
}

TEST(Capabilities, YamaIsExplained) {
    const FakeRoot root;
    EXPECT_EQ(probe::explain_yama(root.path()), "");
    root.put("/proc/sys/kernel/yama/ptrace_scope", "1\n");
    EXPECT_NE(probe::explain_yama(root.path()).find("enough for run"), std::string::npos);
    root.put("/proc/sys/kernel/yama/ptrace_scope", "2\n");
    EXPECT_NE(probe::explain_yama(root.path()).find("CAP_SYS_PTRACE"), std::string::npos);
    root.put("/proc/sys/kernel/yama/ptrace_scope", "3\n");
    EXPECT_NE(probe::explain_yama(root.path()).find("next boot"), std::string::npos);
    root.put("/proc/sys/kernel/yama/ptrace_scope", "\x1b[31m9");
    EXPECT_NE(probe::explain_yama(root.path()).find("\\x1b"), std::string::npos);
}

TEST(Capabilities, LockdownIsReadAsTheKernelWritesIt) {
    const FakeRoot root;
    EXPECT_EQ(probe::lockdown(root.path()).works, Works::partial) << "nothing known is not \"off\"";
    root.put("/sys/kernel/security/lsm", "capability,yama");
    EXPECT_EQ(probe::lockdown(root.path()).works, Works::yes);
    root.put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    EXPECT_EQ(probe::lockdown(root.path()).works, Works::yes);
    root.put("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    EXPECT_EQ(probe::lockdown(root.path()).works, Works::no);
    EXPECT_TRUE(probe::lockdown_state(root.path()).on());
    root.put("/sys/kernel/security/lockdown", "]none[");
    EXPECT_FALSE(probe::lockdown_state(root.path()).on());
}

TEST(Capabilities, ContainersAreToldByTheirMarks) {
    const FakeRoot bare;
    bare.put("/proc/self/uid_map", "         0          0 4294967295\n");
    bare.put("/proc/2/comm", "kthreadd\n");
    bare.put("/proc/1/cgroup", "0::/init.scope\n");
    const auto none = probe::detect_container(bare.path());
    EXPECT_EQ(none.kind, "");
    EXPECT_FALSE(none.user_namespace);
    EXPECT_FALSE(none.pid_namespace);

    const FakeRoot docker;
    docker.put("/.dockerenv", "");
    docker.put("/proc/self/uid_map", "0 100000 65536\n");
    const auto facts = probe::detect_container(docker.path());
    EXPECT_EQ(facts.kind, "docker");
    EXPECT_TRUE(facts.user_namespace);
    EXPECT_TRUE(facts.pid_namespace);

    const FakeRoot nspawn;
    nspawn.put("/proc/1/environ", std::string("A=1\0container=systemd-nspawn\0", 29));
    EXPECT_EQ(probe::detect_container(nspawn.path()).kind, "systemd-nspawn");

    const FakeRoot pod;
    pod.put("/proc/1/cgroup", "0::/kubepods/besteffort/pod1\n");
    EXPECT_EQ(probe::detect_container(pod.path()).kind, "kubernetes");

    const FakeRoot named;
    named.put("/run/systemd/container", "lxc\n");
    named.put("/.dockerenv", "");
    EXPECT_EQ(probe::detect_container(named.path()).kind, "lxc") << "the manager's own word comes first";
}

TEST(OwnImage, ReadsStatWithAnyProgramName) {
    std::string tail = "R";
    for (int field = 4; field <= 52; ++field) tail += " " + std::to_string(field == 8 ? -1 : field * 10);
    for (const std::string name : {"a", "a b", "a) b", "(((", ") R 1 2 3"}) {
        const auto addresses = probe::parse_stat_addresses("123 (" + name + ") " + tail + "\n");
        ASSERT_TRUE(addresses) << name;
        EXPECT_EQ(addresses->start_code, 260U);
        EXPECT_EQ(addresses->end_code, 270U);
        EXPECT_EQ(addresses->start_stack, 280U);
        EXPECT_EQ(addresses->start_data, 450U);
        EXPECT_EQ(addresses->env_end, 510U);
    }
}

TEST(OwnImage, RefusesAStatThatIsCutAnywhere) {
    std::string stat = "1 (x) R";
    for (int field = 4; field <= 51; ++field) stat += " " + std::to_string(field);
    ASSERT_TRUE(probe::parse_stat_addresses(stat));
    const std::size_t last_field = stat.rfind(' ');
    for (std::size_t length = 0; length <= last_field; ++length) {
        EXPECT_FALSE(probe::parse_stat_addresses(stat.substr(0, length))) << length;
    }
    EXPECT_FALSE(probe::parse_stat_addresses(stat + "x"));
}

TEST(OwnImage, TheAuxiliaryVectorHasWhatTheLibraryHas) {
    probe::NativeAuxVector vector;
    ASSERT_TRUE(probe::read_own_auxv(vector));
    ASSERT_NE(vector.find(6), nullptr);
    EXPECT_EQ(vector.find(6)->value, static_cast<unsigned long>(::sysconf(_SC_PAGESIZE)));
    EXPECT_EQ(vector.entries[vector.count - 1].type, 0U);
}

}  // namespace
}  // namespace cpulevel::engine
