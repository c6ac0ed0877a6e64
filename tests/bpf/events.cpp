// The BPF programs against the rules that they cannot be linked with: a random tree of processes (fork, shared memory, prctl, exec
// of both word sizes, of setuid programs, by threads) lives under the BPF engine, and every event is told to inherit::Tree
// as well. What a new program sees must be what the rules say, each time.
//
//   bpf_events --folder FOLDER --actor PROGRAM [--other PROGRAM32] [--seed N] [--steps N] [--cgroup FOLDER]
//
// FOLDER gets copies, one of them setuid. Root; nothing else may be attached. With --cgroup, a level is attached to that
// cgroup too and everything runs in it: the meet of both levels must show. Exit status 0: all as the rules say.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/bpf/attachments.h"
#include "engine/bpf/scope.h"
#include "inherit/tree.h"
#include "protocol.h"
#include "util/fd.h"

namespace {

using namespace cpulevel;

constexpr std::size_t kMostActors = 12;
constexpr std::size_t kRemembered = 40;
constexpr int kPatienceMs = 60'000;

[[noreturn]] void stop(const std::string& why) {
    std::fprintf(stderr, "bpf_events: %s\n", why.c_str());
    std::exit(2);
}

template <class T>
T must(Result<T> result) {
    if (!result) stop(result.error().message() + " (" + result.error().hint + ")");
    return std::move(*result);
}

struct Actor {
    Fd socket;
    inherit::TaskId task{};
    inherit::WordSize word_size = inherit::WordSize::bits64;
    bool shares = false;  // its memory, with a parent: an exec by a thread would not end the others then
    bool privileged = true;
};

std::pair<Fd, Fd> socket_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) stop("socketpair");
    ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    return {Fd(ends[0]), Fd(ends[1])};
}

event_reply wait_for_reply(const Fd& socket) {
    pollfd waiting{.fd = socket.get(), .events = POLLIN, .revents = 0};
    event_reply reply{};
    if (::poll(&waiting, 1, kPatienceMs) != 1) stop("an actor does not answer");
    if (::recv(socket.get(), &reply, sizeof reply, 0) != static_cast<ssize_t>(sizeof reply)) stop("an actor ended");
    return reply;
}

void command(const Fd& socket, const event_command& what, int along = -1) {
    iovec part{const_cast<event_command*>(&what), sizeof what};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (along >= 0) {
        message.msg_control = room;
        message.msg_controllen = sizeof room;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &along, sizeof along);
    }
    if (::sendmsg(socket.get(), &message, 0) != static_cast<ssize_t>(sizeof what)) stop("cannot command an actor");
}

inherit::HwcapWords words_of(const event_words& words) {
    inherit::HwcapWords result;
    for (std::size_t i = 0; i < EVENT_WORDS; ++i) {
        if ((words.present >> i & 1U) != 0) result[i] = words.value[i];
    }
    return result;
}

std::string text_of(const inherit::HwcapWords& words, std::uint64_t signal_stack) {
    std::string text;
    for (const auto& word : words) {
        char one[32];
        std::snprintf(one, sizeof one, "%llx ", static_cast<unsigned long long>(word.value_or(0)));
        text += word ? one : "- ";
    }
    return text + "signal stack " + std::to_string(signal_stack);
}

inherit::WordSize size_of(const event_reply& reply) {
    return reply.word_size == 4 ? inherit::WordSize::bits32 : inherit::WordSize::bits64;
}

class Play {
   public:
    Play(std::uint64_t seed, std::string folder) : random_(seed), folder_(std::move(folder)) {}

    void add_program(const std::string& from, const std::string& name) {
        const std::string path = folder_ + "/" + name;
        std::error_code failed;
        for (const std::string& copy : {path, path + "_setuid"}) {
            std::filesystem::copy_file(from, copy, std::filesystem::copy_options::overwrite_existing, failed);
            if (failed) stop("cannot copy to " + copy + ": " + failed.message());
            if (::chmod(copy.c_str(), copy == path ? 0755 : 04755) != 0) stop("chmod " + copy);
            programs_.push_back(copy);
        }
        // The machine's own vector for programs of this kind, before anything is attached.
        Actor actor = start(path);
        const event_reply reply = wait_for_reply(actor.socket);
        own_[size_of(reply)] = reply;
        command(actor.socket, {.what = EVENT_QUIT, .by_auxv = 0, .flawed = 0, .arguments = 0, .environment = 0, .unused = 0, .words = {}, .path = {}});
    }

    level::Level random_level() {
        level::Level level;
        level.name = "random";
        level.architecture = engine::bpf::kOwnArchitecture;
        const auto& own = own_.at(inherit::WordSize::bits64).stack;
        for (std::size_t i = 0; i < EVENT_WORDS; ++i) {
            if (chance(2, 3)) level.hwcap[i] = own.value[i] & (random_() | random_());
        }
        if (chance(1, 2)) level.minimum_signal_stack = 1024 + random_() % 8192;
        return level;
    }
    void impose(const inherit::Imposed& imposed) { imposed_ = imposed; }

    // False when what was seen is not what the rules say.
    bool run(unsigned steps) {
        actors_.push_back(start(programs_[0]));
        actors_.back().task = next_task();
        tree_.start(actors_.back().task);
        if (!compare(actors_.back(), wait_for_reply(actors_.back().socket), "start")) return false;
        for (unsigned step = 0; step < steps; ++step) {
            if (!one_step()) {
                for (const std::string& line : log_) std::fprintf(stderr, "  %s\n", line.c_str());
                std::fprintf(stderr, "at step %u\n", step);
                return false;
            }
        }
        return true;
    }
    [[nodiscard]] unsigned compared() const { return compared_; }
    [[nodiscard]] unsigned files_compared() const { return files_compared_; }

   private:
    // Told where something goes wrong: the last events.
    void note(const Actor& actor, const std::string& what) {
        log_.push_back("task " + std::to_string(static_cast<std::uint64_t>(actor.task)) + (actor.word_size == inherit::WordSize::bits32 ? " (32): " : ": ") + what);
        if (log_.size() > kRemembered) log_.erase(log_.begin());
    }
    bool chance(unsigned part, unsigned whole) { return random_() % whole < part; }
    inherit::TaskId next_task() { return inherit::TaskId{++last_task_}; }

    Actor start(const std::string& path) {
        auto [ours, theirs] = socket_pair();
        const pid_t child = ::fork();
        if (child < 0) stop("fork");
        if (child == 0) {
            const std::string number = std::to_string(theirs.get());
            ::execl(path.c_str(), path.c_str(), number.c_str(), nullptr);
            ::_exit(127);
        }
        Actor actor;
        actor.socket = std::move(ours);
        return actor;
    }

    bool one_step() {
        Actor& actor = actors_[random_() % actors_.size()];
        event_command what{};
        switch (random_() % 10) {
            case 0:
            case 1: return prctl(actor, what);
            case 2: return new_task(actor, what, EVENT_FORK);
            case 3: return new_task(actor, what, EVENT_SHARE);
            case 4:
                if (!chance(1, 4) || !actor.privileged) return true;
                what.what = EVENT_UNPRIVILEGED;
                command(actor.socket, what);
                actor.privileged = false;
                return wait_for_reply(actor.socket).error == 0;
            case 5: {
                if (actors_.size() < 4 || !chance(1, 2)) return true;
                what.what = EVENT_QUIT;
                command(actor.socket, what);
                note(actor, "exits");
                tree_.exit(actor.task);
                if (&actor != &actors_.back()) actor = std::move(actors_.back());
                actors_.pop_back();
                return true;
            }
            default: return exec(actor, what);
        }
    }

    bool prctl(Actor& actor, event_command& what) {
        what.what = EVENT_PRCTL;
        what.by_auxv = chance(1, 3) && actor.privileged ? 1 : 0;
        what.flawed = chance(1, 6) ? 1 : 0;
        const auto& own = own_.at(actor.word_size).stack;
        for (std::size_t i = 0; i < EVENT_WORDS; ++i) {
            if (chance(1, 5)) continue;  // a missing word
            what.words.present |= 1U << i;
            // Mostly bits that the machine has; sometimes others, which must never appear.
            what.words.value[i] = chance(1, 4) ? random_() : own.value[i] & (random_() | random_());
            if (actor.word_size == inherit::WordSize::bits32) what.words.value[i] &= 0xffffffffU;
        }
        command(actor.socket, what);
        const event_reply reply = wait_for_reply(actor.socket);
        if ((reply.error == 0) == (what.flawed != 0)) {
            std::fprintf(stderr, "prctl: errno %d\n", reply.error);
            return false;
        }
        note(actor, (what.flawed != 0 ? "refused prctl " : what.by_auxv != 0 ? "prctl auxv " : "prctl map ") + text_of(words_of(what.words), 0));
        if (what.flawed != 0) return true;
        std::vector<inherit::AuxEntry> entries;
        for (std::size_t i = 0; i < EVENT_WORDS; ++i) {
            if ((what.words.present >> i & 1U) != 0) entries.push_back({inherit::kHwcapTypes[i], what.words.value[i]});
        }
        tree_.prctl(actor.task, family(actor.word_size), inherit::AuxVector(actor.word_size, entries));
        return true;
    }

    bool new_task(Actor& actor, event_command& what, event_what how) {
        if (actors_.size() == kMostActors) return true;
        auto [ours, theirs] = socket_pair();
        what.what = how;
        command(actor.socket, what, theirs.get());
        if (wait_for_reply(actor.socket).error != 0) return false;
        Actor child;
        child.socket = std::move(ours);
        child.task = next_task();
        child.word_size = actor.word_size;
        child.privileged = actor.privileged;
        note(actor, (how == EVENT_SHARE ? "shares with " : "forks ") + std::to_string(static_cast<std::uint64_t>(child.task)));
        if (how == EVENT_SHARE) {
            child.shares = actor.shares = true;
            tree_.share(actor.task, child.task);
        } else {
            tree_.fork(actor.task, child.task);
        }
        actors_.push_back(std::move(child));
        return true;
    }

    bool exec(Actor& actor, event_command& what) {
        const std::string& path = programs_[random_() % programs_.size()];
        what.what = chance(1, 4) ? EVENT_EXEC_THREAD : EVENT_EXEC;
        what.arguments = static_cast<std::uint32_t>(random_() % 8);
        what.environment = static_cast<std::uint32_t>(random_() % 8);
        std::snprintf(what.path, sizeof what.path, "%s", path.c_str());
        command(actor.socket, what);
        const event_reply reply = wait_for_reply(actor.socket);
        actor.word_size = size_of(reply);
        actor.shares = false;
        return compare(actor, reply, path);
    }

    static inherit::AbiFamily family(inherit::WordSize size) { return inherit::abi_family(engine::bpf::kOwnArchitecture, size); }

    bool compare(Actor& actor, const event_reply& reply, const std::string& what) {
        const inherit::WordSize size = size_of(reply);
        actor.word_size = size;
        const event_reply& own = own_.at(size);
        std::vector<inherit::AuxEntry> entries;
        const inherit::HwcapWords own_words = words_of(own.stack);
        for (std::size_t i = 0; i < EVENT_WORDS; ++i) {
            if (own_words[i]) entries.push_back({inherit::kHwcapTypes[i], *own_words[i]});
        }
        if (own.minimum_signal_stack != 0) entries.push_back({inherit::kAtMinimumSignalStack, own.minimum_signal_stack});
        inherit::HwcapWords security;
        if (family(size) == family(inherit::WordSize::bits64)) {
            const auto bits = engine::bpf::security_words(engine::bpf::kOwnArchitecture);
            std::ranges::copy(bits, security.begin());
        }
        const inherit::ExecFacts facts{.abi = family(size),
                                       .machine = inherit::AuxVector(size, entries),
                                       .secure = reply.secure != 0,
                                       .security_bits = security};
        const auto outcome = tree_.exec(actor.task, facts, imposed_);
        inherit::AuxVector expected = facts.machine;
        for (const auto& edit : outcome.edits) expected.replace(edit.type, edit.value);
        inherit::HwcapWords words;
        for (std::size_t i = 0; i < EVENT_WORDS; ++i) words[i] = expected.find(inherit::kHwcapTypes[i]);
        const std::uint64_t signal_stack = expected.find(inherit::kAtMinimumSignalStack).value_or(0);
        ++compared_;
        note(actor, "executes " + what + " -> " + text_of(words, signal_stack));
        if (words == words_of(reply.stack) && signal_stack == reply.minimum_signal_stack) {
            if (reply.file_readable == 0) return !actor.privileged;
            ++files_compared_;
            if (words == words_of(reply.file)) return true;
        }
        std::fprintf(stderr, "%s (secure %u)\n  rules: %s\n  stack: %s\n  file:  %s\n", what.c_str(), reply.secure,
                     text_of(words, signal_stack).c_str(), text_of(words_of(reply.stack), reply.minimum_signal_stack).c_str(),
                     text_of(words_of(reply.file), 0).c_str());
        return false;
    }

    std::mt19937_64 random_;
    std::vector<std::string> log_;
    std::string folder_;
    std::vector<std::string> programs_;
    std::map<inherit::WordSize, event_reply> own_;
    inherit::Imposed imposed_;
    inherit::Tree tree_;
    std::vector<Actor> actors_;
    std::uint64_t last_task_ = 0;
    unsigned compared_ = 0, files_compared_ = 0;
};

struct Arguments {
    std::string folder, actor, other, cgroup;
    std::uint64_t seed = 1;
    unsigned steps = 2000;
};

Arguments parse(int count, char** words) {
    Arguments arguments;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string name = words[i], value = words[i + 1];
        if (name == "--folder") arguments.folder = value;
        else if (name == "--actor") arguments.actor = value;
        else if (name == "--other") arguments.other = value;
        else if (name == "--cgroup") arguments.cgroup = value;
        else if (name == "--seed") arguments.seed = std::stoull(value);
        else if (name == "--steps") arguments.steps = static_cast<unsigned>(std::stoul(value));
        else stop("no such option: " + name);
    }
    if (arguments.folder.empty() || arguments.actor.empty()) stop("--folder and --actor are needed");
    return arguments;
}

}  // namespace

int main(int count, char** words) {
    const Arguments arguments = parse(count, words);
    ::signal(SIGCHLD, SIG_IGN);
    Play play(arguments.seed, arguments.folder);
    play.add_program(arguments.actor, "actor");
    if (!arguments.other.empty()) play.add_program(arguments.other, "actor_other");

    const level::Level outer = play.random_level(), inner = play.random_level();
    cpulevel_scope nothing{};
    std::initializer_list<cpulevel_scope> imposed{
        arguments.cgroup.empty() ? nothing : engine::bpf::make_scope({.level = &outer, .strict = false, .target = {}}),
        engine::bpf::make_scope({.level = &inner, .strict = false, .target = {}})};
    if (!arguments.cgroup.empty()) {
        std::ofstream(arguments.cgroup + "/cgroup.procs") << ::getpid();
        (void)must(engine::bpf::attach_cgroup(arguments.cgroup, {.level = &outer, .strict = false}));
    }
    (void)must(engine::bpf::attach_tree(::getpid(), {.level = &inner, .strict = false}));
    play.impose(engine::bpf::imposed_by_all(engine::bpf::kOwnArchitecture, imposed));
    const bool good = play.run(arguments.steps);
    const auto seen = must(engine::bpf::overview());
    (void)must(engine::bpf::detach_all());
    if (!good || seen->failures != 0 || seen->lost != 0 || seen->marks == 0 || seen->read_failures != 0) {
        std::fprintf(stderr, "failures %llu, lost %llu, marks %llu\n", static_cast<unsigned long long>(seen->failures),
                     static_cast<unsigned long long>(seen->lost), static_cast<unsigned long long>(seen->marks));
        return 1;
    }
    std::printf("%u programs saw what the rules say, %u of them also in their file (%llu changed, %llu marks)\n", play.compared(), play.files_compared(),
                static_cast<unsigned long long>(seen->changed), static_cast<unsigned long long>(seen->marks));
    return 0;
}
