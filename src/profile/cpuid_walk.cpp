#include "profile/cpuid_walk.h"

#include <algorithm>
#include <array>
#include <string_view>

// CPUID does not say which leaves have subleaves, nor is there one way to count them. Each list ends in its own
// manner (Intel SDM vol. 2A "CPUID", AMD APM vol. 3 appendix E), and a leaf without subleaves ignores ECX: asked for
// subleaf 1 it repeats itself, so that asking blindly would invent data.

namespace cpulevel::profile {
namespace {

using arch::CpuidDump;
using arch::CpuidRegisters;

constexpr std::uint32_t kMostLeaves = 256;    // of one range; the largest known maximum is 0x2b
constexpr std::uint32_t kMostSubleaves = 64;  // leaf 0xD has 63, the most of all

constexpr std::uint32_t kBasic = 0, kHypervisor = 0x40000000, kSecondHypervisor = 0x40000100,
                        kExtended = 0x80000000, kTransmeta = 0x80860000, kCentaur = 0xc0000000;

class Walk {
   public:
    explicit Walk(const CpuidFunction& cpuid) : cpuid_(cpuid) {}

    CpuidDump run() {
        range(kBasic);
        const auto features = arch::find(dump_, 1);
        if (features && (features->ecx >> 31U) != 0) {
            range(kHypervisor);
            // A hypervisor that also plays Hyper-V moves its own leaves up by 0x100 (KVM, Xen).
            range(kSecondHypervisor);
        }
        range(kExtended);
        const auto vendor = arch::find(dump_, 0).value_or(CpuidRegisters{});
        // First register of "GenuineTMx86", "TransmetaCPU"; "CentaurHauls", "  Shanghai  ".
        if (vendor.ebx == 0x756e6547 && vendor.edx == 0x54656e69) range(kTransmeta);
        if (vendor.ebx == 0x6e617254) range(kTransmeta);
        if (vendor.ebx == 0x746e6543 || vendor.ebx == 0x68532020) range(kCentaur);
        return std::move(dump_);
    }

   private:
    void range(std::uint32_t first) {
        const CpuidRegisters head = ask(first, 0);
        // Out of range, a CPU answers zeros or repeats another leaf; neither is a maximum within the range.
        if (head.eax < first || head.eax - first > 0xffffU) {
            if (first == kBasic) store(first, 0, head);
            return;
        }
        const std::uint32_t last = std::min(head.eax, first + kMostLeaves - 1);
        for (std::uint32_t leaf = first; leaf <= last; ++leaf) subleaves(leaf);
    }

    CpuidRegisters ask(std::uint32_t leaf, std::uint32_t subleaf) const { return cpuid_(leaf, subleaf); }
    void store(std::uint32_t leaf, std::uint32_t subleaf, const CpuidRegisters& registers) {
        dump_[{leaf, subleaf}] = registers;
    }
    CpuidRegisters take(std::uint32_t leaf, std::uint32_t subleaf) {
        const CpuidRegisters registers = ask(leaf, subleaf);
        store(leaf, subleaf, registers);
        return registers;
    }

    template <class IsEnd>
    void take_until(std::uint32_t leaf, std::uint32_t first, IsEnd&& is_end) {
        for (std::uint32_t subleaf = first; subleaf < kMostSubleaves; ++subleaf) {
            if (is_end(take(leaf, subleaf))) return;
        }
    }
    void take_through(std::uint32_t leaf, std::uint32_t first, std::uint32_t last) {
        for (std::uint32_t subleaf = first; subleaf <= std::min(last, kMostSubleaves - 1); ++subleaf) {
            take(leaf, subleaf);
        }
    }
    void take_bits(std::uint32_t leaf, std::uint64_t bits, std::uint32_t first) {
        for (std::uint32_t subleaf = first; subleaf < kMostSubleaves; ++subleaf) {
            if ((bits >> subleaf & 1U) != 0) take(leaf, subleaf);
        }
    }

    void subleaves(std::uint32_t leaf) {
        const CpuidRegisters head = leaf == 4 || leaf == 0x8000001d || leaf == 0xb || leaf == 0x1f ||
                                            leaf == 0x80000026
                                        ? CpuidRegisters{}
                                        : take(leaf, 0);
        switch (leaf) {
            case 0x4:
            case 0x8000001d:  // caches, to type 0
                take_until(leaf, 0, [](const CpuidRegisters& r) { return (r.eax & 0x1fU) == 0; });
                break;
            case 0xb:
            case 0x1f:
            case 0x80000026:  // topology, to level type 0
                take_until(leaf, 0, [](const CpuidRegisters& r) { return (r.ecx & 0xff00U) == 0; });
                break;
            case 0x7:
            case 0x14:
            case 0x17:
            case 0x18:
            case 0x1d:
            case 0x1e:
            case 0x20:
            case 0x24:  // EAX of subleaf 0 is the last one
                take_through(leaf, 1, head.eax);
                break;
            case 0xd: state_components(head); break;
            case 0xf: take(leaf, 1); break;
            case 0x10: take_bits(leaf, head.ebx, 1); break;
            case 0x12:
                if (std::ranges::max({head.eax, head.ebx, head.ecx, head.edx}) != 0) {
                    take(leaf, 1);
                    take_until(leaf, 2, [](const CpuidRegisters& r) { return (r.eax & 0xfU) == 0; });
                }
                break;
            case 0x1b: take_until(leaf, 1, [](const CpuidRegisters& r) { return (r.eax & 0xfffU) == 0; }); break;
            case 0x23: take_bits(leaf, head.eax, 1); break;
            case 0x80000020: take_bits(leaf, head.ebx, 1); break;
            default: break;
        }
    }

    void state_components(const CpuidRegisters& head) {
        const CpuidRegisters second = take(0xd, 1);
        const std::uint64_t user = std::uint64_t{head.edx} << 32U | head.eax;
        const std::uint64_t supervisor = std::uint64_t{second.edx} << 32U | second.ecx;
        for (std::uint32_t component = 2; component < kMostSubleaves; ++component) {
            const CpuidRegisters registers = ask(0xd, component);
            const bool named = ((user | supervisor) >> component & 1U) != 0;
            // Firmware that clears a component's bit but leaves its description standing exists.
            if (named || registers != CpuidRegisters{}) store(0xd, component, registers);
        }
    }

    const CpuidFunction& cpuid_;
    CpuidDump dump_;
};

}  // namespace

arch::CpuidDump walk_cpuid(const CpuidFunction& cpuid) { return Walk(cpuid).run(); }

}  // namespace cpulevel::profile
