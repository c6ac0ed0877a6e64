// The saved auxiliary vector: can it be read, be replaced, and does this kernel hand it on at exec?
#include <fmt/format.h>
#include <linux/auxvec.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "engine/probe/child.h"
#include "engine/probe/own_image.h"
#include "engine/probe/probes.h"
#include "engine/probe/tiny_program.h"

namespace cpulevel::engine::probe {

namespace {

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856  // Linux 6.4
#endif
#ifndef AT_HWCAP3
#define AT_HWCAP3 29
#define AT_HWCAP4 30
#endif

struct Reduced {
    unsigned long type = 0;  // AT_HWCAP ...; 0: the machine has no HWCAP bit at all
    unsigned long machine = 0;
    unsigned long value = 0;  // machine without its highest bit
};

std::string word_name(unsigned long type) {
    switch (type) {
        case AT_HWCAP: return "AT_HWCAP";
        case AT_HWCAP2: return "AT_HWCAP2";
        case AT_HWCAP3: return "AT_HWCAP3";
        default: return "AT_HWCAP4";
    }
}

// As the kernel series' selftest does: clears the highest bit of the last HWCAP word that is not zero.
Reduced reduce(NativeAuxVector& vector) {
    for (const unsigned long type : std::initializer_list<unsigned long>{AT_HWCAP4, AT_HWCAP3, AT_HWCAP2, AT_HWCAP}) {
        NativeAuxEntry* entry = vector.find(type);
        if (entry == nullptr || entry->value == 0) continue;
        const Reduced reduced{type, entry->value, entry->value & ~(1UL << (63 - __builtin_clzl(entry->value)))};
        entry->value = reduced.value;
        return reduced;
    }
    return {};
}

struct Replaced {
    bool read = false;
    Reduced reduced;
    int error = 0;             // errno of the prctl; -1: could not be tried
    unsigned long seen = 0;    // what /proc/self/auxv has afterwards
};

// `replace` in a child, and then the look into /proc/self/auxv that shows whether it was done.
Answer<Replaced> try_replacing(int (*replace)(NativeAuxVector&)) {
    return ask_child<Replaced>([replace](Replaced& result) {
        NativeAuxVector vector;
        result.read = read_own_auxv(vector);
        if (!result.read) return;
        result.reduced = reduce(vector);
        result.error = replace(vector);
        NativeAuxVector after;
        if (!read_own_auxv(after)) return;
        const NativeAuxEntry* entry = after.find(result.reduced.type);
        if (entry != nullptr) result.seen = entry->value;
    });
}

int replace_by_auxv_call(NativeAuxVector& vector) {
    return ::prctl(PR_SET_MM, PR_SET_MM_AUXV, vector.entries.data(), vector.bytes(), 0) == 0 ? 0 : errno;
}

void judge_replacing(const Answer<Replaced>& answer, std::string_view call, Capability& result) {
    if (!answer.value || !answer.value->read) {
        result.missing = "could not be tried";
        result.detail = answer.value ? "/proc/self/auxv cannot be read" : answer.end.describe();
        return;
    }
    const Replaced& got = *answer.value;
    if (got.error == -1) {
        result.missing = "could not be tried: /proc/self/stat cannot be read or is not complete";
    } else if (got.error != 0) {
        result.detail = fmt::format("{} gives {}", call, errno_text(got.error));
    } else if (got.reduced.type == 0) {
        result.works = Works::partial;
        result.missing = "no HWCAP word here has a bit set, so the effect could not be looked at";
    } else if (got.seen != got.reduced.value) {
        result.missing = "the kernel accepts the call without effect";
        result.detail = fmt::format("{} set to {:#x}, /proc/self/auxv shows {:#x}", word_name(got.reduced.type),
                                    got.reduced.value, got.seen);
    } else {
        result.works = Works::yes;
        result.detail = fmt::format("{} changed from {:#x} to {:#x} in a child, and /proc/self/auxv shows it",
                                    word_name(got.reduced.type), got.reduced.machine, got.reduced.value);
    }
}

}  // namespace

Capability set_mm_map() {
    Capability result{.id = "set-mm-map", .title = "prctl PR_SET_MM_MAP", .need = Need::coverage,
                      .gives = "levels /proc/PID/auxv and PR_GET_AUXV; needs no capability", .missing = {}, .detail = {}};
    const auto answer = try_replacing(replace_saved_vector);
    judge_replacing(answer, "PR_SET_MM_MAP", result);
    if (result.works == Works::no && result.missing.empty()) {
        const int error = answer.value->error;
        result.missing = error == EINVAL
                             ? "a kernel built with CONFIG_CHECKPOINT_RESTORE; until then programs that read /proc/self/auxv "
                               "see the machine's own values"
                             : "this sandbox refuses the call; run cpulevel outside of it";
    }
    return result;
}

Capability set_mm_auxv() {
    Capability result{.id = "set-mm-auxv", .title = "prctl PR_SET_MM_AUXV",
                      .gives = "the older way to mark a process for inheritance; PR_SET_MM_MAP does the same", .missing = {}, .detail = {}};
    const auto answer = try_replacing(replace_by_auxv_call);
    judge_replacing(answer, "PR_SET_MM_AUXV", result);
    if (result.works == Works::no && result.missing.empty()) {
        result.missing = answer.value->error == EPERM
                             ? "CAP_SYS_RESOURCE, which containers seldom have; `run` does not need it"
                             : "`run` does not need it";
    }
    return result;
}

Capability get_auxv() {
    Capability result{.id = "get-auxv", .title = "prctl PR_GET_AUXV",
                      .gives = "programs can read their saved vector without /proc", .missing = {}, .detail = {}};
    struct Got {
        long bytes = 0;
        int error = 0;
        bool same = false;
    };
    const auto answer = ask_child<Got>([](Got& got) {
        NativeAuxVector from_call;
        got.bytes = ::prctl(PR_GET_AUXV, from_call.entries.data(), sizeof from_call.entries, 0, 0);
        got.error = got.bytes < 0 ? errno : 0;
        NativeAuxVector from_file;
        got.same = read_own_auxv(from_file) &&
                   std::memcmp(from_file.entries.data(), from_call.entries.data(), from_file.bytes()) == 0;
    });
    if (!answer.value) {
        result.missing = "could not be tried";
        result.detail = answer.end.describe();
    } else if (answer.value->bytes < 0) {
        result.missing = "Linux 6.4 or later; nothing is lost, since then no program can ask this way either";
        result.detail = "gives " + errno_text(answer.value->error);
    } else {
        result.works = answer.value->same ? Works::yes : Works::partial;
        result.detail = fmt::format("{} bytes, {} /proc/self/auxv", answer.value->bytes,
                                    answer.value->same ? "the same as" : "but not the same as");
        if (!answer.value->same) result.missing = "it disagrees with /proc/self/auxv";
    }
    return result;
}

Capability kernel_inheritance() {
    Capability result{.id = "kernel-inheritance", .title = "HWCAP inheritance by the kernel",
                      .gives = "auxiliary vectors levelled over exec without a supervisor", .missing = {}, .detail = {}};
#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
    const std::vector<std::byte> image = stack_printer_x86_64();
#else
    const std::vector<std::byte> image = stack_printer_aarch64();
#endif
    NativeAuxVector vector;
    if (!read_own_auxv(vector)) {
        result.missing = "could not be tried: /proc/self/auxv cannot be read";
        return result;
    }
    const Reduced reduced = reduce(vector);
    const auto program = executable_memory_file(image);
    if (reduced.type == 0 || !program) {
        result.missing = "could not be tried";
        result.detail = reduced.type == 0 ? "no HWCAP word has a bit set" : program.error().message();
        return result;
    }
    const int program_fd = program->get();
    const RawAnswer answer = ask_child_raw([&vector, program_fd](int fd) {
        if (replace_saved_vector(vector) != 0) return;
        if (::dup2(fd, STDOUT_FILENO) < 0) return;
        (void)execute(program_fd);
    });
    // The new program's stack: argc = 1, argv[0], NULL, no environment, NULL, then the vector.
    std::vector<unsigned long> words(answer.bytes.size() / sizeof(unsigned long));
    std::memcpy(words.data(), answer.bytes.data(), words.size() * sizeof(unsigned long));
    for (std::size_t i = 4; i + 1 < words.size() && words[i] != AT_NULL; i += 2) {
        if (words[i] != reduced.type) continue;
        const unsigned long seen = words[i + 1];
        result.detail = fmt::format("a child set {} from {:#x} to {:#x} and called exec; the new program got {:#x}",
                                    word_name(reduced.type), reduced.machine, reduced.value, seen);
        if (seen == reduced.value) {
            result.works = Works::yes;
        } else {
            result.missing = "a kernel with the \"inherit HWCAPs\" series; `run` does it by ptrace";
        }
        return result;
    }
    result.missing = "could not be tried: see PR_SET_MM_MAP";
    result.detail = answer.bytes.empty() ? answer.end.describe() : "the new program's vector has no such word";
#else
    result.missing = "this probe has no test program for this architecture yet";
#endif
    return result;
}

}  // namespace cpulevel::engine::probe
