// The state machine against a reference that was written independently of it: bit by bit instead of word by word,
// images by number instead of by pointer, and the hidden bits instead of the shown ones. Random sequences of events;
// a failure prints the seed, and CPULEVEL_SEED=N runs that sequence alone.
#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "inherit/tree.h"

namespace cpulevel::inherit {
namespace {

using Word = std::pair<AbiFamily, std::uint64_t>;  // family, auxiliary vector type

struct NaiveImage {
    std::set<AbiFamily> marked;
    std::map<Word, std::bitset<64>> hidden;  // of each saved word: by a prctl, or because a machine on the way lacked it
    std::set<AbiFamily> set_by_the_weaker;   // before an AT_SECURE program
};

bool test_bit(std::uint64_t word, unsigned bit) { return ((word >> bit) & 1U) != 0; }

class NaiveTree {
   public:
    void start(int task) { image_of_[task] = fresh({}); }
    void fork(int parent, int child) { image_of_[child] = fresh(images_[image_of_[parent]]); }
    void share(int parent, int child) { image_of_[child] = image_of_[parent]; }
    void exit(int task) { image_of_.erase(task); }

    void prctl(int task, AbiFamily abi, const std::map<std::uint64_t, std::uint64_t>& saved) {
        NaiveImage& image = images_[image_of_[task]];
        image.marked.insert(abi);
        image.set_by_the_weaker.erase(abi);
        for (const std::uint64_t type : kHwcapTypes) {
            image.hidden.erase({abi, type});
            if (!saved.contains(type)) continue;
            for (unsigned bit = 0; bit < 64; ++bit) image.hidden[{abi, type}][bit] = !test_bit(saved.at(type), bit);
        }
    }

    // The value that the new program is shown for each type.
    std::map<std::uint64_t, std::uint64_t> exec(int former, int task, const ExecFacts& facts, const Imposed& imposed) {
        NaiveImage image = images_[image_of_[former]];
        if (facts.secure) image.set_by_the_weaker = image.marked;
        std::map<std::uint64_t, std::uint64_t> shown;
        const unsigned width = facts.machine.word_size() == WordSize::bits32 ? 32 : 64;
        for (const AuxEntry& entry : facts.machine.entries()) {
            shown[entry.type] = entry.value;
            if (entry.type == kAtMinimumSignalStack && imposed.minimum_signal_stack &&
                *imposed.minimum_signal_stack > entry.value) {
                shown[entry.type] = *imposed.minimum_signal_stack;
            }
            for (std::size_t word = 0; word < 4; ++word) {
                if (kHwcapTypes[word] != entry.type) continue;
                shown[entry.type] = 0;
                const auto saved = image.hidden.find({facts.abi, entry.type});
                for (unsigned bit = 0; bit < width; ++bit) {
                    const bool own = test_bit(entry.value, bit);
                    const bool security = test_bit(facts.security_bits[word].value_or(0), bit);
                    bool hidden = saved != image.hidden.end() && saved->second[bit];
                    if (hidden && security && image.set_by_the_weaker.contains(facts.abi)) hidden = false;
                    const auto level = imposed.masks.find(facts.abi);
                    if (level != imposed.masks.end() && level->second[word] && !test_bit(*level->second[word], bit)) {
                        hidden = true;
                    }
                    if (own && !hidden) shown[entry.type] |= std::uint64_t{1} << bit;
                    if (!own && saved != image.hidden.end()) saved->second.set(bit);
                }
            }
        }
        image_of_.erase(former);
        image_of_[task] = fresh(image);
        return shown;
    }

    bool marked(int task) { return !images_[image_of_[task]].marked.empty(); }
    std::size_t images() const {
        std::set<int> distinct;
        for (const auto& [task, image] : image_of_) distinct.insert(image);
        return distinct.size();
    }
    const std::map<int, int>& tasks() const { return image_of_; }

   private:
    int fresh(NaiveImage image) {
        images_[next_] = std::move(image);
        return next_++;
    }
    std::map<int, int> image_of_;
    std::map<int, NaiveImage> images_;
    int next_ = 0;
};

class Sequence {
   public:
    explicit Sequence(std::uint64_t seed) : random_(seed) {}

    void run() {
        start(1);
        const int events = 10 + pick(60);
        for (int event = 0; event < events && !testing::Test::HasFailure(); ++event) {
            if (naive_.tasks().empty()) start(event + 1000);
            step(event + 2000);
            EXPECT_EQ(tree_.tasks(), naive_.tasks().size());
            EXPECT_EQ(tree_.images(), naive_.images());
        }
        const auto alive = naive_.tasks();
        for (const auto& [task, image] : alive) {
            EXPECT_EQ(tree_.marks(id(task)).marked(), naive_.marked(task));
            tree_.exit(id(task));
        }
        EXPECT_EQ(tree_.tasks(), 0U);
        EXPECT_EQ(tree_.images(), 0U);
    }

   private:
    static TaskId id(int task) { return TaskId{static_cast<std::uint64_t>(task)}; }
    int pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
    bool chance(int percent) { return pick(100) < percent; }
    int any_task() { return std::next(naive_.tasks().begin(), pick(static_cast<int>(naive_.tasks().size())))->first; }

    void start(int task) {
        tree_.start(id(task));
        naive_.start(task);
    }

    void step(int fresh) {
        const int task = any_task();
        switch (pick(8)) {
            case 0: tree_.fork(id(task), id(fresh)); naive_.fork(task, fresh); break;
            case 1: tree_.share(id(task), id(fresh)); naive_.share(task, fresh); break;
            case 2: tree_.exit(id(task)); naive_.exit(task); break;
            case 3:
            case 4: prctl(task); break;
            default: exec(task); break;
        }
    }

    std::pair<AbiFamily, WordSize> any_abi() {
        switch (pick(4)) {
            case 0: return {AbiFamily::aarch64, WordSize::bits64};
            case 1: return {AbiFamily::arm32, WordSize::bits32};
            case 2: return {AbiFamily::x86, WordSize::bits64};
            default: return {AbiFamily::x86, WordSize::bits32};
        }
    }

    std::uint64_t word(WordSize size) {
        const std::uint64_t value = chance(20) ? ~std::uint64_t{0} : chance(10) ? 0 : random_() | random_();
        return size == WordSize::bits32 ? value & 0xffffffffU : value;
    }

    void prctl(int task) {
        const auto [abi, size] = any_abi();
        std::map<std::uint64_t, std::uint64_t> saved;
        std::vector<AuxEntry> entries{{kAtPageSize, 4096}};
        for (const std::uint64_t type : kHwcapTypes) {
            if (!chance(60)) continue;
            saved[type] = word(size);
            entries.push_back({type, saved[type]});
        }
        std::shuffle(entries.begin(), entries.end(), random_);
        tree_.prctl(id(task), abi, AuxVector(size, entries));
        naive_.prctl(task, abi, saved);
    }

    void exec(int former) {
        // Sometimes by a thread that takes over the id of a task which shares its image.
        int task = former;
        for (const auto& [other, image] : naive_.tasks()) {
            if (image == naive_.tasks().at(former) && chance(30)) task = other;
        }
        ExecFacts facts;
        const auto [abi, size] = any_abi();
        facts.abi = abi;
        facts.secure = chance(15);
        std::vector<AuxEntry> entries{{25, random_() & 0xffff}, {kAtPageSize, 4096}, {kAtMinimumSignalStack, 2000}};
        for (std::size_t i = 0; i < 4; ++i) {
            if (chance(75)) entries.push_back({kHwcapTypes[i], word(size)});
            if (chance(50)) facts.security_bits[i] = word(size);
        }
        std::shuffle(entries.begin(), entries.end(), random_);
        facts.machine = AuxVector(size, entries);
        Imposed imposed;
        if (chance(30)) {
            HwcapWords words;
            for (auto& mask : words) {
                if (chance(60)) mask = word(WordSize::bits64);
            }
            imposed.masks[any_abi().first] = words;
        }
        if (chance(30)) imposed.minimum_signal_stack = 1000 + static_cast<std::uint64_t>(pick(12000));
        compare(former, task, facts, imposed);
    }

    void compare(int former, int task, const ExecFacts& facts, const Imposed& imposed) {
        const ExecOutcome outcome = tree_.exec(id(former), id(task), facts, imposed);
        const auto expected = naive_.exec(former, task, facts, imposed);
        AuxVector shown = facts.machine;
        std::size_t at = 0;  // the edits are in the vector's order
        for (const AuxEdit& edit : outcome.edits) {
            EXPECT_NE(facts.machine.find(edit.type), edit.value) << "an edit that changes nothing";
            EXPECT_TRUE(shown.replace(edit.type, edit.value));
            while (at < facts.machine.entries().size() && facts.machine.entries()[at].type != edit.type) ++at;
            EXPECT_LT(at, facts.machine.entries().size()) << "out of order: type " << edit.type;
        }
        for (const auto& [type, value] : expected) {
            EXPECT_EQ(shown.find(type), value) << "type " << type << std::hex << " machine " << *facts.machine.find(type);
        }
        EXPECT_EQ(outcome.marks, tree_.marks(id(task)));
    }

    std::mt19937_64 random_;
    Tree tree_;
    NaiveTree naive_;
};

TEST(InheritanceModel, RandomSequencesAgreeWithTheNaiveReference) {
    if (const char* seed = std::getenv("CPULEVEL_SEED")) {
        SCOPED_TRACE("CPULEVEL_SEED=" + std::string(seed));
        Sequence(std::strtoull(seed, nullptr, 10)).run();
        return;
    }
    for (std::uint64_t seed = 1; seed <= 5000; ++seed) {
        SCOPED_TRACE("CPULEVEL_SEED=" + std::to_string(seed));
        Sequence(seed).run();
        ASSERT_FALSE(HasFailure()) << "run again with CPULEVEL_SEED=" << seed;
    }
}

}  // namespace
}  // namespace cpulevel::inherit
