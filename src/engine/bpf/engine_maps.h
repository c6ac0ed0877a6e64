// What attaching, detaching and the overview share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/bpf/pins.h"
#include "util/error.h"

namespace cpulevel::engine::bpf {

// A cgroup's id: the number of its folder's inode (64-bit kernels).
[[nodiscard]] Result<std::uint64_t> cgroup_id(const std::string& folder);

// Ready to attach: BPF is built in and allowed here, bpffs mounted; and nobody else attaches or detaches meanwhile.
[[nodiscard]] Result<Fd> begin_change();

// The maps of what is installed; an error if nothing is.
[[nodiscard]] Result<Maps> maps_in_use();

}  // namespace cpulevel::engine::bpf
