// Runs the cases and judges them: one line each, `ok RULE NAME`, `FAILED RULE NAME: what was seen`, or `SKIPPED RULE
// NAME (reason)`; the last line counts. Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 all skipped.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof.h"

static const char kUsage[] =
    "usage: proof [--control] [--must-fail NAME,...] [--only NAME,...] [--other PROGRAM] [--method map|auxv] [--list]\n"
    "  --control     where nothing is inherited: each case that needs inheritance must fail, each other one pass\n"
    "  --must-fail   these cases (NAME, with both methods, or NAME/METHOD) must fail: what an engine cannot do\n"
    "  --other       this program built for the other word size (32 or 64 bits)\n";

enum { kMostRecords = 4, kTimeLimitMs = 120000 };

static struct {
    bool control;
    const char *must_fail, *only, *other, *method;
    char self[PATH_MAX], other_path[PATH_MAX], folder[64];
} g_options = {.must_fail = "", .only = "", .other = "-", .method = ""};

// What unmarked programs are shown, by word size: [0] 4 bytes, [1] 8 bytes.
static struct record g_own[2];
static bool g_own_known[2];

struct outcome {
    struct record records[kMostRecords + 1];
    int count;
    bool timed_out;
};

static bool listed(const char* list, const char* name, const char* method) {
    char with_method[160];
    snprintf(with_method, sizeof with_method, "%s/%s", name, method);
    for (const char* at = list; *at;) {
        const size_t length = strcspn(at, ",");
        const char* candidates[] = {name, with_method};
        for (int i = 0; i < 2; ++i) {
            if (strlen(candidates[i]) == length && strncmp(at, candidates[i], length) == 0) return true;
        }
        at += length + (at[length] == ',');
    }
    return false;
}

// --- running a case

static _Noreturn void start_case(const char* text, enum method method, int report_to) {
    static char buffer[512];
    static char* step[32];
    int count = 0;
    setpgid(0, 0);
    if (dup2(report_to, kReportFd) < 0) _exit(6);
    snprintf(buffer, sizeof buffer, "%s", text);
    for (char* at = strtok(buffer, " "); at; at = strtok(NULL, " ")) step[count++] = at;
    const struct steps steps = {g_options.self, g_options.other, g_options.folder, method, count, step};
    run_steps(&steps);
}

// Reads until the pipe closes: all processes of the case have ended then.
static void read_records(int fd, struct outcome* outcome) {
    for (;;) {
        struct pollfd waiting = {fd, POLLIN, 0};
        const int ready = poll(&waiting, 1, kTimeLimitMs);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            outcome->timed_out = true;
            return;
        }
        struct record record;
        const ssize_t got = read(fd, &record, sizeof record);
        if (got != sizeof record) return;
        if (outcome->count <= kMostRecords) outcome->records[outcome->count++] = record;
    }
}

static struct outcome run_case(const char* steps, enum method method) {
    struct outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) exit(2);
    const pid_t child = fork();
    if (child < 0) exit(2);
    if (child == 0) start_case(steps, method, ends[1]);
    setpgid(child, child);
    close(ends[1]);
    read_records(ends[0], &outcome);
    close(ends[0]);
    if (outcome.timed_out) kill(-child, SIGKILL);
    waitpid(child, NULL, 0);
    return outcome;
}

// --- judging

static void describe(char* text, size_t size, const struct words* words) {
    size_t at = 0;
    text[0] = 0;
    for (int word = 0; word < kWords && at < size; ++word) {
        if (!(words->present >> word & 1)) continue;
        const int got = snprintf(text + at, size - at, "%s%#llx", at ? " " : "", (unsigned long long)words->value[word]);
        at += got > 0 ? (size_t)got : 0;
    }
}

static const struct words* words_at(const struct record* record, enum channel channel) {
    return channel == FILE_AUXV ? &record->file : channel == GET_AUXV ? &record->call : &record->stack;
}

static bool same_words(const struct words* a, const struct words* b) {
    return a->present == b->present && memcmp(a->value, b->value, sizeof a->value) == 0;
}

// FAILED: a program was shown other than it must be. BROKEN: something else went wrong, which no control expects.
enum verdict { OK, FAILED, SKIPPED, BROKEN };

// One record against its codes ("T", "A|B"). `needs`: some code asks for other than own values.
static enum verdict judge_record(const struct record* record, const char* codes, enum channel channel, char* why, size_t size,
                                 bool* needs) {
    const bool wide = record->word_size == 8;
    if (!g_own_known[wide]) {
        snprintf(why, size, "what unmarked %u-bit programs are shown is not known", record->word_size * 8);
        return BROKEN;
    }
    if (channel == GET_AUXV && record->call_error == EINVAL) {
        snprintf(why, size, "this kernel has no PR_GET_AUXV (Linux 6.4)");
        return SKIPPED;
    }
    const struct record* own = &g_own[wide];
    const struct words* found = words_at(record, channel);
    bool matches = false;
    char expected_text[200] = "";
    for (const char* code = codes; *code && *code != ' '; ++code) {
        if (*code == '|') continue;
        const struct words expected = expected_words(*code, &own->stack);
        matches = matches || same_words(found, &expected);
        if (!same_words(&expected, &own->stack)) *needs = true;
        const size_t have = strlen(expected_text);
        if (have) snprintf(expected_text + have, sizeof expected_text - have, " or ");
        describe(expected_text + strlen(expected_text), sizeof expected_text - strlen(expected_text), &expected);
    }
    char found_text[100];
    describe(found_text, sizeof found_text, found);
    if (!matches) {
        snprintf(why, size, "%u-bit program was shown %s, not %s", record->word_size * 8, found_text, expected_text);
        return FAILED;
    }
    if (record->text[0]) {
        snprintf(why, size, "%s is not the program's own", record->text);
        return FAILED;
    }
    if (record->types != own->types) {
        snprintf(why, size, "the vector's entries are not those of an unmarked program");
        return FAILED;
    }
    return OK;
}

static enum verdict judge(const struct scenario* scenario, const struct outcome* outcome, char* why, size_t size, bool* needs) {
    if (outcome->timed_out) {
        snprintf(why, size, "took longer than %d s", kTimeLimitMs / 1000);
        return BROKEN;
    }
    const char* codes = scenario->expected;
    enum verdict verdict = OK;
    for (int i = 0; i < outcome->count; ++i) {
        const struct record* record = &outcome->records[i];
        if (record->kind != RECORD_SHOWN) {
            snprintf(why, size, "%s", record->text);
            return record->kind == RECORD_SKIP ? SKIPPED : BROKEN;
        }
        if (!*codes) {
            snprintf(why, size, "more programs reported than should");
            return BROKEN;
        }
        char reason[400];
        const enum verdict one = judge_record(record, codes, scenario->channel, reason, sizeof reason, needs);
        if (one != OK && verdict == OK) {
            verdict = one;
            snprintf(why, size, "%s", reason);
        }
        codes += strcspn(codes, " ");
        codes += *codes == ' ';
    }
    if (*codes) {
        snprintf(why, size, "only %d programs reported", outcome->count);
        return BROKEN;
    }
    return verdict;
}

static void learn_own(const char* steps) {
    const struct outcome outcome = run_case(steps, BY_MAP);
    if (outcome.count != 1 || outcome.records[0].kind != RECORD_SHOWN) return;
    const bool wide = outcome.records[0].word_size == 8;
    g_own[wide] = outcome.records[0];
    g_own_known[wide] = true;
}

static enum verdict run_scenario(const struct scenario* scenario, enum method method, char* why, size_t size, bool* needs) {
    enum verdict verdict = OK;
    for (int i = 0; i < (scenario->repeat ? scenario->repeat : 1) && verdict == OK; ++i) {
        const struct outcome outcome = run_case(scenario->steps, method);
        why[0] = 0;
        verdict = judge(scenario, &outcome, why, size, needs);
    }
    return verdict;
}

static enum verdict report_scenario(const struct scenario* scenario, enum method method) {
    const char* method_name = method == BY_MAP ? "map" : "auxv";
    char why[512] = "";
    bool needs = false;
    enum verdict verdict = run_scenario(scenario, method, why, sizeof why, &needs);
    const bool must_fail = g_options.control ? needs : listed(g_options.must_fail, scenario->name, method_name);
    const char* extra = "";
    if (must_fail && verdict == FAILED) {
        verdict = OK;
        extra = " (fails, as it must here)";
    } else if (must_fail && verdict == OK) {
        verdict = FAILED;
        snprintf(why, sizeof why, "passes where it must fail: it proves nothing");
    }
    if (verdict == BROKEN) verdict = FAILED;
    if (verdict == OK) printf("ok %s %s/%s%s\n", scenario->rule, scenario->name, method_name, extra);
    if (verdict == FAILED) printf("FAILED %s %s/%s: %s\n", scenario->rule, scenario->name, method_name, why);
    if (verdict == SKIPPED) printf("SKIPPED %s %s/%s (%s)\n", scenario->rule, scenario->name, method_name, why);
    fflush(stdout);
    return verdict;
}

// --- set-up

static void make_folder(void) {
    const char* temporary = getenv("TMPDIR");
    snprintf(g_options.folder, sizeof g_options.folder, "%.40s/proof.XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(g_options.folder) || chmod(g_options.folder, 0755) != 0) {
        fprintf(stderr, "proof: cannot make a folder: %s: %s\n", g_options.folder, strerror(errno));
        exit(2);
    }
}

static void copy_program(const char* from, const char* name, mode_t mode, char* path, size_t size) {
    static char buffer[65536];
    snprintf(path, size, "%s/%s", g_options.folder, name);
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    ssize_t got = -1;
    while (in >= 0 && out >= 0 && (got = read(in, buffer, sizeof buffer)) > 0) {
        if (write(out, buffer, (size_t)got) != got) break;
    }
    if (got != 0 || fchmod(out, mode) != 0) {
        fprintf(stderr, "proof: cannot copy %s to %s: %s\n", from, path, strerror(errno));
        exit(2);
    }
    close(in);
    close(out);
}

static void remove_folder(void) {
    char command[160];
    snprintf(command, sizeof command, "%s", g_options.folder);
    const pid_t child = fork();
    if (child == 0) {
        execlp("rm", "rm", "-rf", command, (char*)NULL);
        _exit(1);
    }
    if (child > 0) waitpid(child, NULL, 0);
}

static bool parse(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const char* value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--control") == 0) {
            g_options.control = true;
            continue;
        }
        if (strcmp(argv[i], "--list") == 0) {
            for (size_t s = 0; s < kScenarioCount; ++s) {
                printf("%s %s: %s -> %s\n", kScenarios[s].rule, kScenarios[s].name, kScenarios[s].steps, kScenarios[s].expected);
            }
            exit(0);
        }
        if (!value) return false;
        if (strcmp(argv[i], "--must-fail") == 0) {
            g_options.must_fail = value;
        } else if (strcmp(argv[i], "--only") == 0) {
            g_options.only = value;
        } else if (strcmp(argv[i], "--other") == 0) {
            g_options.other = value;
        } else if (strcmp(argv[i], "--method") == 0) {
            g_options.method = value;
        } else {
            return false;
        }
        ++i;
    }
    return true;
}

int main(int argc, char** argv, char** envp) {
    remember_stack(envp);
    for (int i = 1; i < argc && (i == 1 || strcmp(argv[1], "--script") == 0); ++i) {
        if (strcmp(argv[i], "--steps") == 0) run_steps_of_arguments(argv + i + 1);
    }
    if (!parse(argc, argv)) {
        fputs(kUsage, stderr);
        return 2;
    }
    make_folder();
    char setuid_path[PATH_MAX];
    copy_program("/proc/self/exe", "program", 0755, g_options.self, sizeof g_options.self);
    copy_program("/proc/self/exe", "setuid", geteuid() == 0 ? 04755 : 0755, setuid_path, sizeof setuid_path);
    if (strcmp(g_options.other, "-") != 0) {
        copy_program(g_options.other, "other", 0755, g_options.other_path, sizeof g_options.other_path);
        g_options.other = g_options.other_path;
    }
    learn_own("exec show");
    learn_own("other show");

    int count[3] = {0, 0, 0};
    for (size_t i = 0; i < kScenarioCount; ++i) {
        for (int method = BY_MAP; method <= BY_AUXV; ++method) {
            const char* name = method == BY_MAP ? "map" : "auxv";
            if (*g_options.only && !listed(g_options.only, kScenarios[i].name, name)) continue;
            if (*g_options.method && strcmp(g_options.method, name) != 0) continue;
            ++count[report_scenario(&kScenarios[i], (enum method)method)];
        }
    }
    remove_folder();
    printf("%d passed, %d failed, %d skipped\n", count[OK], count[FAILED], count[SKIPPED]);
    return count[FAILED] ? 1 : count[OK] ? 0 : 77;
}
