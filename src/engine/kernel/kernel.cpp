#include "engine/kernel/kernel.h"

#include <fmt/format.h>
#include <linux/prctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "engine/probe/own_image.h"
#include "engine/probe/probes.h"
#include "util/file.h"

namespace cpulevel::engine::kernel {

namespace {

constexpr auto kOwnWordSize = sizeof(void*) == 8 ? inherit::WordSize::bits64 : inherit::WordSize::bits32;

// What programs are told of the signal frame's size, which the kernel does not inherit.
std::optional<Channel> signal_stack_channel(const level::Level& level, const inherit::AuxVector& own) {
    const auto size = own.find(inherit::kAtMinimumSignalStack);
    if (!size || !level.minimum_signal_stack || *level.minimum_signal_stack <= *size) return std::nullopt;
    return Channel{"AT_MINSIGSTKSZ", ChannelState::none,
                   fmt::format("the kernel inherits HWCAP words only: programs are told {} bytes, and the level has {}; a "
                               "program that is moved to its largest machine may overflow its signal stacks",
                               *size, *level.minimum_signal_stack)};
}

int replace_saved_vector(const inherit::AuxVector& vector) {
    probe::NativeAuxVector native;
    for (const inherit::AuxEntry& entry : vector.entries()) {
        if (native.count + 1 == native.entries.size()) return E2BIG;
        native.entries[native.count++] = {entry.type, entry.value};
    }
    native.entries[native.count++] = {inherit::kAtNull, 0};
    const int error = probe::replace_saved_vector(native);
    if (error == 0) return 0;
    // Kernels without CONFIG_CHECKPOINT_RESTORE have only the older call, which needs CAP_SYS_RESOURCE.
    if (::prctl(PR_SET_MM, PR_SET_MM_AUXV, native.entries.data(), native.bytes(), 0) == 0) return 0;
    return error > 0 ? error : EIO;
}

}  // namespace

Preparation level_vector(const level::Level& level, inherit::AuxVector own) {
    Preparation preparation;
    preparation.coverage.push_back({"auxiliary vector on the stack", ChannelState::full, ""});
    preparation.coverage.push_back({"/proc/PID/auxv, PR_GET_AUXV", ChannelState::full, ""});
    if (auto channel = signal_stack_channel(level, own)) preparation.coverage.push_back(std::move(*channel));
    if (level.architecture == arch::Architecture::x86_64) {
        preparation.coverage.push_back({"CPUID", ChannelState::none,
                                        "the kernel engine has no hand in it: programs that execute CPUID see the real CPU"});
    }
    preparation.vector = std::move(own);
    for (std::size_t word = 0; word < level.hwcap.size(); ++word) {
        const std::uint64_t type = inherit::kHwcapTypes[word];
        const auto value = preparation.vector.find(type);
        if (value && level.hwcap[word]) preparation.vector.replace(type, *value & *level.hwcap[word]);
    }
    return preparation;
}

Result<Preparation> prepare(const level::Level& level) {
    const Capability inheritance = probe::kernel_inheritance();
    if (inheritance.works != Works::yes) {
        return machine_error("the kernel engine does not work here", "",
                             inheritance.detail.empty() ? inheritance.missing
                                                        : "this kernel does not inherit HWCAPs: " + inheritance.detail,
                             "--engine ptrace does it on any kernel; `cpulevel check` tells what works here");
    }
    const auto blob = read_file("/proc/self/auxv");
    if (!blob) return std::unexpected(blob.error());
    auto own = inherit::AuxVector::parse(std::as_bytes(std::span(*blob)), kOwnWordSize);
    if (!own) return std::unexpected(own.error());
    return level_vector(level, std::move(*own));
}

Result<int> become(const Preparation& preparation, const std::vector<std::string>& command) {
    if (const int error = replace_saved_vector(preparation.vector); error != 0) {
        errno = error;
        return system_error(ErrorKind::machine, "the program was not started: its vector cannot be replaced", command[0],
                            "--engine ptrace does not need that");
    }
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    return errno;
}

}  // namespace cpulevel::engine::kernel
