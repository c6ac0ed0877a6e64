// The cases: what is done, and what must be seen.
//
// `expected` has one letter for each `show`, or two of which either may be seen ("A|B"):
//   O own values          T the target word (the last that is not zero) without its highest bit
//   A every word without its highest bit            B the first word that is not zero without its lowest bit
//   M as A, but the target word is own              S only security features (those this machine has)
//   Z nothing at all      x as T where 32- and 64-bit programs are of one family (x86), own values elsewhere
// A case whose expectation is not O only must fail where nothing is inherited: `proof --control` demands it.
#include "proof.h"

#if defined(__x86_64__) || defined(__i386__)
enum { kOneFamily = 1 };
static const uint64_t kSecurity[kWords] = {0, 0, 0, 0};
#elif defined(__aarch64__)
enum { kOneFamily = 0 };
static const uint64_t kSecurity[kWords] = {
    1ULL << 24 | 1ULL << 28 | 1ULL << 29 | 1ULL << 30 | 1ULL << 31 | 1ULL << 32,  // DIT, SSBS, SB, PACA, PACG, GCS
    1ULL << 17 | 1ULL << 18 | 1ULL << 22 | 1ULL << 63,                            // BTI, MTE, MTE3, POE
    1ULL << 0 | 1ULL << 1,                                                        // MTE_FAR, MTE_STORE_ONLY
    0};
#else
enum { kOneFamily = 0 };
static const uint64_t kSecurity[kWords] = {0, 0, 0, 0};
#endif

const struct scenario kScenarios[] = {
    {"0", "unmarked_program", "exec show", "O", 0, STACK},
    {"0", "unmarked_program_of_the_other_word_size", "other show", "O", 0, STACK},

    {"1", "selftest_of_the_series", "series fork exec show", "T", 0, STACK},
    {"1", "mark", "mark=target exec show", "T", 0, STACK},
    {"1", "mark_in_all_words", "mark=all exec show", "A", 0, STACK},
    {"1", "second_mark_replaces_first", "mark=all mark=target exec show", "T", 0, STACK},
    {"1", "second_mark_after_exec", "mark=target exec show mark=low exec show", "T C", 0, STACK},
    {"1", "second_mark_gives_back", "mark=target exec show mark=ones exec show", "T O", 0, STACK},
    {"1", "mark_with_unchanged_words", "mark=target exec mark=own exec show", "T", 0, STACK},
    {"1", "refused_for_borders", "mark=all refused-borders=target exec show", "A", 0, STACK},
    {"1", "refused_for_size", "mark=all refused-size=target exec show", "A", 0, STACK},
    {"1", "refused_for_pointer", "mark=all refused-pointer=target exec show", "A", 0, STACK},
    {"1", "refused_for_capability", "mark=all refused-auxv=target exec show", "A", 0, STACK},
    {"1", "refused_marks_nothing", "refused-borders=target exec show", "O", 0, STACK},
    {"1", "map_without_vector", "mark=all no-vector exec show", "A", 0, STACK},

    {"2", "fork_copies", "mark=target fork exec show", "T", 0, STACK},
    {"2", "mark_of_a_child_is_its_own", "mark=all fork-marks=target exec show", "A", 0, STACK},
    {"2", "mark_after_fork_is_the_parents", "mark=all fork-then-mark=target exec show", "A", 0, STACK},
    {"2", "vfork", "mark=target vfork show", "T", 0, STACK},
    {"2", "mark_by_a_vfork_child", "vfork-marks=target exec show", "T", 0, STACK},
    {"2", "clone_with_shared_memory", "mark=target clone-exec show", "T", 0, STACK},
    {"2", "mark_by_a_clone_with_shared_memory", "clone-marks=target exec show", "T", 0, STACK},
    {"2", "mark_by_a_thread", "thread-marks=target exec show", "T", 0, STACK},

    {"3", "three_execs", "mark=target exec show exec show exec show", "T T T", 0, STACK},
    {"3", "forks_between_execs", "mark=target fork exec fork exec show", "T", 0, STACK},
    {"3", "exec_by_descriptor", "mark=target fexec show", "T", 0, STACK},
    {"3", "script", "mark=target script show", "T", 0, STACK},
    {"3", "script_run_by_a_script", "mark=target script-of-script show", "T", 0, STACK},
    {"3", "exec_by_a_thread", "mark=target thread-exec show", "T", 0, STACK},
    {"3", "exec_by_the_thread_that_marks", "thread-marks-execs=target show", "T", 0, STACK},
    {"3", "large_environment", "mark=target exec-large show exec show", "T T", 0, STACK},
    {"3", "failed_exec", "mark=target failed-exec exec show", "T", 0, STACK},
    {"3", "failed_exec_in_a_marked_child", "mark=target exec failed-exec fork exec show", "T", 0, STACK},
    {"3", "behind_the_end_of_the_vector", "mark=behind exec show", "M", 0, STACK},

    {"4", "bits_that_the_machine_lacks", "mark=ones exec show", "O", 0, STACK},
    {"4", "lacking_and_removed_bits", "mark=ones-target exec show exec show", "T T", 0, STACK},

    {"5", "missing_word", "mark=missing exec show exec show", "M M", 0, STACK},
    {"5", "missing_first_word", "mark=first-missing exec show", "T", 0, STACK},
    {"5", "all_words_missing", "mark=target exec show mark=empty exec show", "T O", 0, STACK},

    {"6", "other_entries_are_the_programs_own", "mark=bogus exec show exec show", "T T", 0, STACK},

    {"7", "proc_auxv", "mark=target exec show exec show", "T T", 0, FILE_AUXV},
    {"7", "proc_auxv_in_all_words", "mark=all exec show", "A", 0, FILE_AUXV},
    {"7", "get_auxv", "mark=target exec show exec show", "T T", 0, GET_AUXV},

    {"8", "prctl_races_exec", "mark=all race exec show", "A|B", 40, STACK},
    {"8", "prctl_races_exec_of_a_thread", "mark=all race thread-exec show", "A|B", 40, STACK},

    {"9", "other_word_size", "mark=target other show", "x", 0, STACK},
    {"9", "there_and_back", "mark=target other show other show", "x T", 0, STACK},
    {"9", "there_and_back_in_all_words", "mark=all other other show other other show", "A A", 0, STACK},
    {"9", "mark_by_the_other_word_size", "other mark=target other show", "x", 0, STACK},

    // Not the target: its highest bit may be a security feature (BTI on the newest arm64).
    {"10", "setuid_program", "mark=low setuid show-secure", "B", 0, STACK},
    {"10", "setuid_program_keeps_protection", "mark=zero setuid show-secure", "S", 0, STACK},
    {"10", "what_a_setuid_program_starts", "mark=zero setuid show-secure become-root exec show", "S S", 0, STACK},
    {"10", "until_it_marks_itself", "mark=zero setuid show-secure become-root mark=zero exec show", "S Z", 0, STACK},
};
const size_t kScenarioCount = sizeof kScenarios / sizeof kScenarios[0];

static uint64_t highest_bit(uint64_t value) { return value == 0 ? 0 : 1ULL << (63 - __builtin_clzll(value)); }

struct words expected_words(char code, const struct words* own) {
    struct words words = *own;
    int target = kWords - 1;
    while (target > 0 && own->value[target] == 0) --target;
    int first = 0;
    while (first < kWords - 1 && own->value[first] == 0) ++first;
    if (code == 'x') code = kOneFamily ? 'T' : 'O';
    for (int word = 0; word < kWords; ++word) {
        uint64_t* value = &words.value[word];
        const uint64_t without_highest = *value & ~highest_bit(*value);
        switch (code) {
            case 'T': *value = word == target ? without_highest : *value; break;
            case 'A': *value = without_highest; break;
            case 'M': *value = word == target ? *value : without_highest; break;
            case 'B': *value = word == first ? *value & (*value - 1) : *value; break;
            case 'C':  // T, and from that B: the first word that is not zero in what was shown
                *value = word == target ? without_highest : *value;
                break;
            case 'S': *value &= kSecurity[word]; break;
            case 'Z': *value = 0; break;
            default: break;
        }
    }
    return code == 'C' ? expected_words('B', &words) : words;
}
