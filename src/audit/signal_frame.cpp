// Signal frames on a stack.
//
// To run a handler the kernel pushes a frame onto the thread's stack (or its alternate one): registers and vector state of
// what was interrupted, the old signal mask, and a return address that leads to rt_sigreturn. While the handler runs,
// the frame lies above its stack pointer. rt_sigreturn(2) later reads it all back, on whatever machine the thread is by
// then; that is why a thread inside a handler carries a piece of the old machine's layout with it.
//
// Nothing points to the frame, so it is looked for: each slot of the stack where one may begin (the ABI fixes the
// alignment) is held against everything that the kernel fixes about a frame. On x86: a return address in executable memory
// whose code is the rt_sigreturn sequence; code and stack segment of user space; reserved bits of EFLAGS; the flag
// words; a pointer to vector state, aligned, above the frame, with both magic numbers at the ends of it. On arm64 the
// FPSIMD record at its fixed place and a siginfo before it. A false hit by chance is practically impossible.
//
// What remains possible is a *left over* frame: of a handler that has returned, in a part of the stack that was then
// reserved for a local buffer and not written to. Therefore a frame counts as certain only where the thread's signal
// mask agrees: while a handler runs, its own signal is blocked (unless SA_NODEFER) and so is all that was blocked before.
//
// Handlers nest, and run on alternate stacks: the search goes on from the stack pointer that a frame interrupted, on
// whichever stack that is. A frame inside the alternate stack which it names itself belongs to this thread only if the search
// has come to that stack (a Go program keeps those of all threads in one mapping).
//
// Sources: Linux arch/x86/include/asm/sigframe.h, arch/x86/include/uapi/asm/{sigcontext,ucontext}.h,
// arch/x86/kernel/{signal_64,signal_32}.c, arch/arm64/include/uapi/asm/sigcontext.h, arch/arm64/kernel/signal.c.
#include "audit/signal_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <cstring>
#include <map>

#include "audit/xstate.h"

namespace cpulevel::audit {
namespace {

constexpr std::uint64_t kMostStack = 256U << 20U;  // bytes of one stack that are looked through
constexpr std::size_t kChunk = 64U << 10U;
constexpr std::size_t kMostFrames = 64;            // handlers nested in each other

// Bytes of one place in memory, or nothing if they are not all there.
template <std::size_t size>
std::optional<std::array<std::byte, size>> bytes_at(const Memory& memory, std::uint64_t address) {
    std::array<std::byte, size> bytes;
    if (memory.read(address, bytes) != size) return std::nullopt;
    return bytes;
}

template <class T>
T get(std::span<const std::byte> bytes, std::size_t offset) {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

// --- what the three x86 frames have in common

// offsets in bytes from the frame's start
struct X86Shape {
    SignalFrame::Shape shape;
    std::size_t word;       // size of a pointer
    std::size_t size;       // that must be readable
    std::size_t alignment;  // (address + word) is a multiple of it
    std::size_t info;       // siginfo; 0: none
    std::size_t context;    // ucontext; 0: none
    std::size_t alternate;  // ucontext.uc_stack
    std::size_t stack_pointer, instruction, flags, code_segment, stack_segment, state, mask;
};

constexpr X86Shape kFrame64{.shape = SignalFrame::Shape::x86_64, .word = 8, .size = 440, .alignment = 16, .info = 312,
                            .context = 8, .alternate = 24, .stack_pointer = 168, .instruction = 176, .flags = 184,
                            .code_segment = 192, .stack_segment = 198, .state = 232, .mask = 304};
// sigcontext_32 at 164: gs fs es ds, di si bp sp, bx dx cx ax, trapno err ip cs, flags sp_at_signal ss fpstate oldmask cr2
constexpr X86Shape kFrame32{.shape = SignalFrame::Shape::ia32, .word = 4, .size = 260, .alignment = 16, .info = 16,
                            .context = 144, .alternate = 152, .stack_pointer = 192, .instruction = 220, .flags = 228,
                            .code_segment = 224, .stack_segment = 236, .state = 240, .mask = 252};
constexpr X86Shape kOldFrame32{.shape = SignalFrame::Shape::ia32_without_siginfo, .word = 4, .size = 96,
                               .alignment = 16, .info = 0, .context = 0, .alternate = 0, .stack_pointer = 36,
                               .instruction = 64, .flags = 72, .code_segment = 68, .stack_segment = 80, .state = 84,
                               .mask = 88};
constexpr std::size_t kLargestFrame = 592 + 528 + 16;  // of any shape, as far as it is looked at

class Search {
   public:
    Search(const Snapshot& process, const Thread& thread)
        : process_(process), thread_(thread), mask_(thread.blocked_signals) {}

    FrameSearch run() {
        std::uint64_t from = *thread_.stack_pointer;
        while (found_.frames.size() < kMostFrames) {
            const auto frame = next_frame(from);
            if (!frame) break;
            if (std::ranges::any_of(found_.frames, [&](const SignalFrame& f) { return f.address == frame->address; })) break;
            from = frame->interrupted_stack;
            if (mask_) mask_ = frame->blocked_before;  // what was blocked around an outer handler
            found_.frames.push_back(*frame);
        }
        return std::move(found_);
    }

   private:
    // The first frame at or above `from`, on the stack that it lies in.
    std::optional<SignalFrame> next_frame(std::uint64_t from) {
        const Mapping* stack = mapping_of(process_.mappings, from);
        if (stack == nullptr) {
            incomplete("the stack pointer is in no mapping");
            return std::nullopt;
        }
        const std::uint64_t end = std::min(stack->end, from + kMostStack);
        if (end < stack->end) incomplete("the stack is larger than this looks through");
        std::vector<std::byte> chunk(kChunk + kLargestFrame);
        for (std::uint64_t at = from & ~std::uint64_t{3}; at < end;) {
            const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), end - at));
            const std::size_t got = process_.memory->read(at, std::span(chunk).first(wanted));
            if (got == 0) {  // a hole: a page that was never touched, or is not in the images; it holds no frame
                at = (at & ~std::uint64_t{4095}) + 4096;
                continue;
            }
            const std::size_t look = std::min(got, kChunk);
            for (std::size_t offset = 0; offset < look; offset += step()) {
                if (auto frame = frame_at(at + offset, std::span(chunk).subspan(offset, got - offset), from)) return frame;
            }
            at += look;
        }
        return std::nullopt;
    }

    [[nodiscard]] std::size_t step() const {
        return process_.architecture == arch::Architecture::aarch64 || !may_be_32bit() ? 8 : 4;
    }
    // A 64-bit thread may be in 32-bit code and the other way round only by far jumps that nobody does in earnest.
    [[nodiscard]] bool may_be_32bit() const { return thread_.is_32bit; }

    std::optional<SignalFrame> frame_at(std::uint64_t address, std::span<const std::byte> bytes, std::uint64_t from) {
        if (process_.architecture == arch::Architecture::aarch64) return arm_frame(address, bytes, from);
        if (!may_be_32bit()) return x86_frame(kFrame64, address, bytes, from);
        if (auto frame = x86_frame(kFrame32, address, bytes, from)) return frame;
        return x86_frame(kOldFrame32, address, bytes, from);
    }

    static std::uint64_t word(const X86Shape& shape, std::span<const std::byte> bytes, std::size_t offset) {
        return shape.word == 8 ? get<std::uint64_t>(bytes, offset) : get<std::uint32_t>(bytes, offset);
    }

    std::optional<SignalFrame> x86_frame(const X86Shape& shape, std::uint64_t address, std::span<const std::byte> bytes,
                                         std::uint64_t from) {
        if (bytes.size() < shape.size || (address + shape.word) % shape.alignment != 0) return std::nullopt;
        // User code and data segments (arch/x86/include/asm/segment.h); LDT selectors are not for 64-bit code.
        constexpr std::uint16_t kCode64 = 0x33, kCode32 = 0x23, kData = 0x2b;
        const auto code = get<std::uint16_t>(bytes, shape.code_segment);
        if (code != kCode64 && code != kCode32) return std::nullopt;
        const auto data = get<std::uint16_t>(bytes, shape.stack_segment);
        if (data != kData && !(shape.word == 8 && data == 0)) return std::nullopt;  // before Linux 4.6 it was not saved
        const auto flags = word(shape, bytes, shape.flags);
        if ((flags & 2U) == 0 || (flags & ~std::uint64_t{0x3f7fd7}) != 0) return std::nullopt;
        if (!returns_to_kernel(shape, word(shape, bytes, 0))) return std::nullopt;

        SignalFrame frame;
        frame.shape = shape.shape;
        frame.address = address;
        frame.interrupted_stack = word(shape, bytes, shape.stack_pointer);
        frame.blocked_before = shape.shape == SignalFrame::Shape::ia32_without_siginfo
                                   ? get<std::uint32_t>(bytes, shape.mask)
                                   : get<std::uint64_t>(bytes, shape.mask);
        // Only a handler with SA_SIGINFO gets a siginfo; without, its bytes are whatever was on the stack before. The 32-bit
        // frames have the number as an argument besides.
        const int named = get<int>(bytes, shape.word == 4 ? 4 : shape.info);
        if (shape.word == 4 && !is_signal(named)) return std::nullopt;
        if (shape.shape == SignalFrame::Shape::ia32 &&
            (word(shape, bytes, 8) != address + shape.info || word(shape, bytes, 12) != address + shape.context)) {
            return std::nullopt;
        }
        if (shape.context != 0) {
            constexpr std::uint64_t kKnownContextFlags = 7;  // UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
            if ((word(shape, bytes, shape.context) & ~kKnownContextFlags) != 0) return std::nullopt;
            if (!is_of_this_thread(address, word(shape, bytes, shape.alternate),
                                   word(shape, bytes, shape.alternate + 2 * shape.word), from)) {
                return std::nullopt;
            }
        }
        if (!read_state(shape, word(shape, bytes, shape.state), frame)) return std::nullopt;
        note_mask(frame, named);
        return frame;
    }

    // The return address: code that does rt_sigreturn, or sigreturn for old 32-bit frames (the C library's restorer or
    // the vDSO's).
    bool returns_to_kernel(const X86Shape& shape, std::uint64_t address) {
        const auto [at, fresh] = restorers_.try_emplace({address, shape.shape}, false);
        if (fresh) at->second = is_restorer(shape.shape, address);
        return at->second;
    }

    [[nodiscard]] bool is_restorer(SignalFrame::Shape shape, std::uint64_t address) const {
        const Mapping* code = mapping_of(process_.mappings, address);
        if (code == nullptr || !code->executable) return false;
        std::array<std::byte, 16> bytes{};
        const std::size_t got = process_.memory->read(address, bytes);
        std::span<const std::byte> left = std::span(bytes).first(got);
        const auto skip = [&](std::initializer_list<unsigned> wanted) {
            if (left.size() < wanted.size()) return false;
            if (!std::ranges::equal(wanted, left.first(wanted.size()), {}, {},
                                    [](std::byte b) { return std::to_integer<unsigned>(b); })) {
                return false;
            }
            left = left.subspan(wanted.size());
            return true;
        };
        if (got == 0) return process_.from_images;  // file-backed code is not in the images: the file would tell
        skip({0xf3, 0x0f, 0x1e, 0xfa});             // endbr64
        skip({0xf3, 0x0f, 0x1e, 0xfb});             // endbr32
        switch (shape) {
            case SignalFrame::Shape::x86_64:  // mov $15, %rax (or %eax); syscall
                return (skip({0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0}) || skip({0xb8, 0x0f, 0, 0, 0})) && skip({0x0f, 0x05});
            case SignalFrame::Shape::ia32:    // mov $173, %eax; int $0x80
                return skip({0xb8, 0xad, 0, 0, 0}) && (skip({0xcd, 0x80}) || skip({0x0f, 0x05}) || skip({0x0f, 0x34}));
            case SignalFrame::Shape::ia32_without_siginfo:  // pop %eax; mov $119, %eax; int $0x80
                return skip({0x58}) && skip({0xb8, 0x77, 0, 0, 0}) && (skip({0xcd, 0x80}) || skip({0x0f, 0x05}));
            case SignalFrame::Shape::aarch64: break;
        }
        return false;
    }

    // A frame inside the alternate stack that it names: only if the search has come to that stack.
    static bool is_of_this_thread(std::uint64_t address, std::uint64_t stack, std::uint64_t size, std::uint64_t from) {
        if (size == 0 || stack + size < stack) return true;
        const bool inside = address >= stack && address < stack + size;
        return !inside || (from >= stack && from < stack + size);
    }

    // The vector state that the frame points to. False: what stands there cannot be a frame's.
    bool read_state(const X86Shape& shape, std::uint64_t pointer, SignalFrame& frame) const {
        // The thread had not used it, on old kernels; too weak a sign where the code of the return address is not at hand.
        if (pointer == 0) return shape.word == 8 && !process_.from_images;
        constexpr std::uint64_t kMostDistance = 64U << 10U;
        constexpr std::size_t kOldState = 112;  // struct _fpstate_32 before its FXSAVE part
        const std::uint64_t area = shape.word == 8 ? pointer : pointer + kOldState;
        if (area % 16 != 0 || pointer <= frame.address || pointer - frame.address > kMostDistance) {
            return false;
        }
        const auto legacy = bytes_at<kLegacyRegion + kXsaveHeader>(*process_.memory, area);
        if (!legacy) return false;
        // struct _fpx_sw_bytes, in the bytes of the legacy region that are the software's.
        constexpr std::uint32_t kMagic1 = 0x46505853, kMagic2 = 0x46505845;
        constexpr std::size_t kSoftware = 464;
        frame.header = frame.in_use = kLegacyComponents;
        if (get<std::uint32_t>(*legacy, kSoftware) != kMagic1) return true;  // a machine without XSAVE: FXSAVE only
        const auto extended = get<std::uint32_t>(*legacy, kSoftware + 4);
        const auto size = get<std::uint32_t>(*legacy, kSoftware + 16);
        if (size < kLegacyRegion + kXsaveHeader || size > profile_limit() || extended < size) return false;
        const auto closing = bytes_at<4>(*process_.memory, area + size);
        if (!closing || get<std::uint32_t>(*closing, 0) != kMagic2) return false;
        frame.state_size = size;
        frame.described = get<std::uint64_t>(*legacy, kSoftware + 8);
        std::vector<std::byte> state(size);
        state.resize(process_.memory->read(area, state));
        frame.places = places_in_frame(frame.described, size, process_.layout ? &*process_.layout : nullptr);
        const VectorState vector = vector_state_of(state, &frame.places);
        frame.header = vector.header;
        frame.in_use = vector.in_use;
        frame.pkru = vector.pkru;
        return (frame.header & ~frame.described & ~kLegacyComponents) == 0;
    }
    static constexpr std::uint32_t profile_limit() { return 1U << 20U; }

    std::optional<SignalFrame> arm_frame(std::uint64_t address, std::span<const std::byte> bytes, std::uint64_t from) {
        constexpr std::size_t kContext = 128, kAlternate = 144, kMask = 168, kStackPointer = 560, kInstruction = 568, kRecords = 592;
        constexpr std::uint64_t kFpsimd = 0x46508001ULL | 528ULL << 32U;  // magic and size of its record
        if (address % 16 != 0 || bytes.size() < kRecords + 8 || get<std::uint64_t>(bytes, kRecords) != kFpsimd) {
            return std::nullopt;
        }
        SignalFrame frame;
        frame.shape = SignalFrame::Shape::aarch64;
        frame.address = address;
        frame.interrupted_stack = get<std::uint64_t>(bytes, kStackPointer);
        frame.blocked_before = get<std::uint64_t>(bytes, kMask);
        if (get<std::uint64_t>(bytes, kContext) != 0 || mapping_of(process_.mappings, get<std::uint64_t>(bytes, kInstruction)) == nullptr) {
            return std::nullopt;
        }
        if (!is_of_this_thread(address, get<std::uint64_t>(bytes, kAlternate), get<std::uint64_t>(bytes, kAlternate + 16),
                               from)) {
            return std::nullopt;
        }
        if (!read_arm_records(address + kRecords, frame)) return std::nullopt;
        note_mask(frame, get<int>(bytes, 0));
        return frame;
    }

    bool read_arm_records(std::uint64_t at, SignalFrame& frame) const {
        constexpr std::uint32_t kSve = 0x53564501, kZa = 0x54366345, kExtra = 0x45585401;
        const std::uint64_t end = at + 4096;  // __reserved of struct sigcontext
        std::uint64_t extra = 0;
        for (unsigned count = 0; count < 64 && at + 16 <= end; ++count) {
            const auto record = bytes_at<16>(*process_.memory, at);
            if (!record) return false;
            const auto magic = get<std::uint32_t>(*record, 0);
            const auto size = get<std::uint32_t>(*record, 4);
            if (magic == 0 && size == 0) {
                if (extra == 0) return true;
                at = std::exchange(extra, 0);  // the records that did not fit
                continue;
            }
            if (size < 16 || size % 16 != 0) return false;
            if (magic == kSve) frame.sve_vector_length = get<std::uint16_t>(*record, 8);
            if (magic == kZa) frame.has_sme = true;
            if (magic == kExtra) extra = get<std::uint64_t>(*record, 8);
            at += size;
        }
        return false;
    }

    static bool is_signal(int number) { return number >= 1 && number <= 64; }
    static std::uint64_t mask_of(int signal) { return std::uint64_t{1} << (static_cast<unsigned>(signal) - 1U); }

    // While a handler runs, all that was blocked before is, and its own signal. `named`: the number that stands in the
    // frame, believed where the mask agrees; where it does not, one newly blocked signal is the one.
    void note_mask(SignalFrame& frame, int named) const {
        if (frame.shape != SignalFrame::Shape::x86_64 && frame.shape != SignalFrame::Shape::aarch64) frame.signal = named;
        if (!mask_) return;
        std::uint64_t before = frame.blocked_before;
        std::uint64_t now = *mask_;
        if (frame.shape == SignalFrame::Shape::ia32_without_siginfo) {  // keeps the lower half only
            before &= 0xffffffffU;
            now &= 0xffffffffU;
        }
        const std::uint64_t added = now & ~before;
        if (is_signal(named) && (added & mask_of(named)) != 0) {
            frame.signal = named;
        } else if (frame.signal == 0 && std::has_single_bit(added)) {
            frame.signal = std::countr_zero(added) + 1;
        }
        frame.blocked_now = (before & ~now) == 0 && added != 0 && (frame.signal == 0 || (added & mask_of(frame.signal)) != 0);
    }

    void incomplete(std::string why) {
        found_.complete = false;
        found_.incomplete_why = std::move(why);
    }

    const Snapshot& process_;
    const Thread& thread_;
    std::optional<std::uint64_t> mask_;  // signals that are blocked where the search is
    FrameSearch found_;
    std::map<std::pair<std::uint64_t, SignalFrame::Shape>, bool> restorers_;
};

}  // namespace

const Mapping* mapping_of(std::span<const Mapping> mappings, std::uint64_t address) {
    const auto above = std::ranges::upper_bound(mappings, address, {}, &Mapping::start);
    if (above == mappings.begin()) return nullptr;
    const Mapping& candidate = *std::prev(above);
    return address < candidate.end ? &candidate : nullptr;
}

FrameSearch find_signal_frames(const Snapshot& process, const Thread& thread) {
    if (!thread.stack_pointer || !process.memory) return {{}, false, "its registers are not known"};
    return Search(process, thread).run();
}

std::string signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    if (name != nullptr) return fmt::format("SIG{}", name);
    return fmt::format("signal {}", signal);
}

}  // namespace cpulevel::audit
