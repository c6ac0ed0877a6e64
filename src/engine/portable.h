// Our own processes may travel too: `cpulevel run` as the entry point of a container, and its supervisor, are part of a
// checkpoint of the whole. They are not levelled, nobody traces them; glibc's string functions, which are in this
// executable, would be those of the CPU that it started on, and kill it by SIGILL on a smaller one.
//
// So `run` first executes itself once more, with GLIBC_TUNABLES that leave glibc no feature beyond the first x86-64.
// Nothing else in the executable looks at the CPU to choose code. The program's environment is the user's.
#pragma once

#include <sys/types.h>

namespace cpulevel::engine {

// Call it before anything else is done. Returns in the process that may travel, or where that cannot be had (it then
// runs on as it is, and a checkpoint says so). Only on x86-64.
void run_portably();

// Was this process, one of ours, started so?
[[nodiscard]] bool runs_portably(pid_t process);

}  // namespace cpulevel::engine
