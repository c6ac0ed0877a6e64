// Programs of the other ABIs of x86: whether they run decides whether they have to be levelled.
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "engine/probe/tiny_program.h"

namespace cpulevel::engine::probe {

Capability i386_programs() {
    Capability result{.id = "i386", .title = "32-bit (i386) programs", .gives = "they run, and are levelled too", .missing = {}, .detail = {}};
#if defined(__x86_64__)
    struct Tried {
        int error = 0;   // of fork or exec
        int status = 0;  // of the 32-bit program
    };
    const auto program = executable_memory_file(exiter_i386());
    if (!program) {
        result.missing = "could not be tried";
        result.detail = program.error().message();
        return result;
    }
    const int program_fd = program->get();
    const auto answer = ask_child<Tried>([program_fd](Tried& tried) {
        const pid_t pid = ::vfork();  // shares the memory: the error of exec arrives in `tried`
        if (pid == 0) {
            tried.error = execute(program_fd);
            ::_exit(1);
        }
        if (pid < 0) {
            tried.error = errno;
            return;
        }
        while (::waitpid(pid, &tried.status, 0) < 0 && errno == EINTR) {
        }
    });
    if (!answer.value) {
        result.missing = "could not be tried";
        result.detail = answer.end.describe();
    } else if (answer.value->error != 0) {
        result.missing = "a kernel with CONFIG_IA32_EMULATION; without it there is nothing to level";
        result.detail = "exec of a 32-bit program gives " + errno_text(answer.value->error);
    } else if (!WIFEXITED(answer.value->status) || WEXITSTATUS(answer.value->status) != kTinyExitStatus) {
        result.works = Works::partial;
        result.missing = "a 32-bit program starts and does not end as it should: INT 0x80 may be disabled (ia32_emulation=off)";
        result.detail = fmt::format("wait status {:#x}", answer.value->status);
    } else {
        result.works = Works::yes;
        result.detail = "a 32-bit program ran and ended with its status";
    }
#else
    result.missing = "not on this architecture";
#endif
    return result;
}

Capability x32_programs() {
    Capability result{.id = "x32", .title = "x32 programs", .gives = "they run, and are levelled too", .missing = {}, .detail = {}};
#if defined(__x86_64__)
    struct Tried {
        long returned = 0;
        int error = 0;
    };
    const auto answer = ask_child<Tried>([](Tried& tried) {
        constexpr long kX32Bit = 0x40000000;  // <asm/unistd.h> __X32_SYSCALL_BIT
        tried.returned = ::syscall(kX32Bit | SYS_getpid);
        tried.error = errno;
    });
    if (!answer.value) {
        result.missing = "could not be tried";
        result.detail = answer.end.describe();
    } else if (answer.value->returned <= 0) {
        result.missing = "a kernel with CONFIG_X86_X32_ABI; hardly any has it, and without it there is nothing to level";
        result.detail = "an x32 system call gives " + errno_text(answer.value->error);
    } else {
        result.works = Works::yes;
        result.detail = "an x32 system call was answered";
    }
#else
    result.missing = "not on this architecture";
#endif
    return result;
}

}  // namespace cpulevel::engine::probe
