// BPF, tried with two programs of a few instructions that are loaded and never attached: one that does nothing, and one that calls
// bpf_probe_write_user, which is what an engine needs to change a new program's stack, and what lockdown and missing
// capabilities refuse. The answer is the verifier's, not a guess from uid or version.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/version.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>

#include "engine/probe/child.h"
#include "engine/probe/probes.h"
#include "util/fd.h"
#include "util/text.h"

namespace cpulevel::engine::probe {

namespace {

bpf_insn instruction(int code, unsigned destination, unsigned source, std::int16_t offset, std::int32_t immediate) {
    bpf_insn result{};
    result.code = static_cast<std::uint8_t>(code);
    result.dst_reg = destination & 0xfU;
    result.src_reg = source & 0xfU;
    result.off = offset;
    result.imm = immediate;
    return result;
}

bpf_insn set(unsigned reg, std::int32_t value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, value); }
bpf_insn copy(unsigned to, unsigned from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

// errno, or 0.
int try_loading(std::uint32_t type, std::span<const bpf_insn> program) {
    bpf_attr attributes;
    std::memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = type;
    attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
    attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
    attributes.license = reinterpret_cast<std::uintptr_t>("GPL");
    attributes.kern_version = LINUX_VERSION_CODE;  // looked at before Linux 5.0 only
    const long fd = ::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
    if (fd < 0) return errno;
    ::close(static_cast<int>(fd));
    return 0;
}

struct Tried {
    int plain = 0;
    int writing = 0;
};

Answer<Tried> try_both() {
    const std::array plain{set(BPF_REG_0, 0), leave()};
    const std::array writing{
        copy(BPF_REG_2, BPF_REG_10),
        instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -8),
        instruction(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -8, 0),
        set(BPF_REG_1, 0),
        set(BPF_REG_3, 8),
        instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_write_user),
        set(BPF_REG_0, 0),
        leave(),
    };
    return ask_child<Tried>([&](Tried& tried) {
        tried.plain = try_loading(BPF_PROG_TYPE_SOCKET_FILTER, plain);
        tried.writing = try_loading(BPF_PROG_TYPE_KPROBE, writing);
    });
}

// The kernel's own types, in BTF: without them a program cannot be fitted to this kernel (CO-RE).
bool has_btf(const std::string& root) {
    const Fd file(::open((root + "/sys/kernel/btf/vmlinux").c_str(), O_RDONLY | O_CLOEXEC));
    std::uint16_t magic = 0;
    return file.valid() && ::read(file.get(), &magic, sizeof magic) == static_cast<ssize_t>(sizeof magic) &&
           magic == 0xeb9f;
}

}  // namespace

Capability bpf(const std::string& root) {
    Capability result{.id = "bpf", .title = "BPF engine",
                      .gives = "auxiliary vectors levelled for a cgroup or tree without a supervisor", .missing = {}, .detail = {}};
    const auto answer = try_both();
    if (!answer.value) {
        result.missing = "could not be tried";
        result.detail = answer.end.describe();
        return result;
    }
    const bool btf = has_btf(root);
    const auto outcome = [](int error) { return error == 0 ? std::string("accepted") : errno_text(error); };
    result.detail = fmt::format("load a program: {}; with bpf_probe_write_user: {}; /sys/kernel/btf/vmlinux: {}",
                                outcome(answer.value->plain), outcome(answer.value->writing), btf ? "there" : "not there");
    if (answer.value->plain == 0 && answer.value->writing == 0 && btf) {
        result.works = Works::yes;
    } else if (answer.value->plain == ENOSYS) {
        result.missing = "a kernel with CONFIG_BPF_SYSCALL";
    } else if (answer.value->plain == EPERM || answer.value->plain == EACCES) {
        const auto unprivileged = read_small_file(root, "/proc/sys/kernel/unprivileged_bpf_disabled");
        result.missing = "root with CAP_SYS_ADMIN; containers have to be given it";
        if (unprivileged) result.detail += "; kernel.unprivileged_bpf_disabled is " + printable(*unprivileged, 20);
    } else if (answer.value->writing != 0) {
        result.works = Works::partial;
        const Lockdown state = lockdown_state(root);
        result.missing = state.on() ? "lockdown \"" + state.mode + "\" refuses writing to programs: boot without it "
                                      "(lockdown=, or Secure Boot off)"
                                : "CAP_SYS_ADMIN (CAP_BPF with CAP_PERFMON is not enough on older kernels), or a kernel "
                                  "with CONFIG_BPF_EVENTS";
    } else {
        result.works = Works::partial;
        result.missing = "a kernel with CONFIG_DEBUG_INFO_BTF";
    }
    return result;
}

}  // namespace cpulevel::engine::probe
