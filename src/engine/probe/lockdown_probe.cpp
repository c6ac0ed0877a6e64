// Kernel lockdown: which mode is on. The kernel says it in a file of securityfs; containers and small systems often have that file system
// not mounted, which looks the same as a kernel without lockdown. Then it is mounted for a moment where nobody else sees it: in
// a child with a mount namespace of its own. That takes root; otherwise the answer is "cannot be told".
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "util/text.h"

namespace cpulevel::engine::probe {

namespace {

constexpr char kFolder[] = "/sys/kernel/security";
constexpr char kFile[] = "/sys/kernel/security/lockdown";

// Allocates nothing: also for a child.
std::size_t read_mode(char* buffer, std::size_t size) {
    const int fd = ::open(kFile, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t got = ::read(fd, buffer, size);
    ::close(fd);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

struct Looked {
    bool mounted = false;
    std::size_t length = 0;
    std::array<char, 128> text{};
};

std::optional<std::string> bracketed(std::string_view modes) {
    const auto open = modes.find('[');
    const auto close = modes.find(']', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
    return printable(modes.substr(open + 1, close - open - 1), 40);
}

}  // namespace

Lockdown lockdown_state(const std::string& root) {
    if (const auto modes = read_small_file(root, kFile)) {
        if (const auto mode = bracketed(*modes)) return {Lockdown::Known::mode, *mode};
    }
    // securityfs always has this file (since Linux 4.11); without `lockdown` beside it, lockdown is not built in.
    if (read_small_file(root, std::string(kFolder) + "/lsm")) return {Lockdown::Known::not_built_in, {}};
    if (!root.empty()) return {Lockdown::Known::no, {}};
    const auto answer = ask_child<Looked>([](Looked& looked) {
        if (::unshare(CLONE_NEWNS) != 0) return;
        if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
        if (::mount("securityfs", kFolder, "securityfs", MS_RDONLY, nullptr) != 0) return;
        looked.mounted = true;
        looked.length = read_mode(looked.text.data(), looked.text.size());
    });
    if (!answer.value || !answer.value->mounted) return {Lockdown::Known::no, {}};
    const auto mode = bracketed(std::string_view(answer.value->text.data(), answer.value->length));
    return mode ? Lockdown{Lockdown::Known::mode, *mode} : Lockdown{Lockdown::Known::not_built_in, {}};
}

Capability lockdown(const std::string& root) {
    Capability result{.id = "lockdown", .title = "kernel lockdown off",
                      .gives = "BPF may write to a program's memory", .missing = {}, .detail = {}};
    const Lockdown state = lockdown_state(root);
    switch (state.known) {
        case Lockdown::Known::no:
            result.works = Works::partial;
            result.missing = "cannot be told: /sys/kernel/security is not mounted; the BPF line shows what is refused";
            break;
        case Lockdown::Known::not_built_in:
            result.works = Works::yes;
            result.detail = "this kernel has no lockdown";
            break;
        case Lockdown::Known::mode:
            result.detail = "the kernel says \"" + state.mode + "\"";
            if (state.mode == "none") {
                result.works = Works::yes;
            } else {
                result.missing = "only the BPF engine needs it off: boot without lockdown= and Secure Boot";
            }
            break;
    }
    return result;
}

}  // namespace cpulevel::engine::probe
