// What stubs for changed CPUID instructions need: memory that can be executed; and what makes them recognisable: a
// name in /proc/PID/maps.
#include <fmt/format.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"

namespace cpulevel::engine::probe {

Capability executable_pages() {
    Capability result{.id = "executable-pages", .title = "executable anonymous memory",
                      .gives = "stubs that answer CPUID inside the program, without a stop", .missing = {}, .detail = {}};
#if defined(__x86_64__)
    struct Tried {
        int error = 0;
        int returned = 0;
    };
    const auto answer = ask_child<Tried>([](Tried& tried) {
        constexpr std::size_t size = 4096;
        void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            tried.error = errno;
            return;
        }
        constexpr unsigned char code[] = {0xb8, 0x2a, 0x00, 0x00, 0x00, 0xc3};  // mov eax, 42; ret
        std::memcpy(page, code, sizeof code);
        if (::mprotect(page, size, PROT_READ | PROT_EXEC) != 0) {
            tried.error = errno;
            return;
        }
        tried.returned = reinterpret_cast<int (*)()>(page)();
    });
    if (!answer.value) {
        result.missing = "memory cannot be executed here";
        result.detail = answer.end.describe();
    } else if (answer.value->error != 0) {
        result.missing = "a policy (SELinux execmem, PaX, systemd MemoryDenyWriteExecute) refuses it; CPUID is then answered by "
                         "a stop each time, where CPUID faulting works";
        result.detail = "mprotect(PROT_EXEC) gives " + errno_text(answer.value->error);
    } else {
        result.works = answer.value->returned == 42 ? Works::yes : Works::no;
        result.detail = "code written at run time was executed in a child";
    }
#else
    result.missing = "this probe has no test code for this architecture yet";
#endif
    return result;
}

Capability anonymous_names() {
    Capability result{.id = "anonymous-names", .title = "prctl PR_SET_VMA_ANON_NAME",
                      .gives = "memory that an engine adds to a program carries a name in /proc/PID/maps", .missing = {}, .detail = {}};
    constexpr const char* kName = "cpulevel-probe";
    constexpr std::size_t size = 4096;
    // In this process, not in a child: the name is on a page of our own and goes with it.
    void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        result.missing = "could not be tried: mmap gives " + errno_text(errno);
        return result;
    }
    const bool accepted = ::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, page, size, kName) == 0;
    const int error = errno;
    bool seen = false;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        seen = seen || line.find(std::string("[anon:") + kName + "]") != std::string::npos;
    }
    ::munmap(page, size);
    if (!accepted) {
        result.missing = "a kernel with CONFIG_ANON_VMA_NAME (Linux 5.17); nothing else is lost";
        result.detail = "gives " + errno_text(error);
    } else if (!seen) {
        result.works = Works::partial;
        result.missing = "the call succeeds, but the name is not in /proc/self/maps";
    } else {
        result.works = Works::yes;
        result.detail = fmt::format("\"[anon:{}]\" was in /proc/self/maps", kName);
    }
    return result;
}

}  // namespace cpulevel::engine::probe
