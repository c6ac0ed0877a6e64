// Registers of a stopped thread; one .cpp an architecture.
#pragma once

#include <sys/types.h>

#include "audit/snapshot.h"

namespace cpulevel::audit::live {

// Fills in what the stopped thread's registers tell. `layout`: this machine's.
void read_registers(Thread& thread, const profile::XsaveLayout* layout);

}  // namespace cpulevel::audit::live
