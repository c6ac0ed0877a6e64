#include "cpuid/range_analysis.h"

#include <algorithm>
#include <array>

namespace cpulevel::cpuid {
namespace {

// What the decodes say about a byte of the stretch.
constexpr std::uint8_t kCandidate = 0x01;     // a 0F with A2 behind it
constexpr std::uint8_t kFlowStart = 0x02;     // an instruction of the flow decode starts here
constexpr std::uint8_t kSaysSite = 0x10;      // a believed decode has a CPUID opcode here
constexpr std::uint8_t kSaysOther = 0x20;     // a believed decode has this inside, or starting one byte into, another one

constexpr std::byte kLockPrefix{0xF0};

// System call numbers that map or protect memory. Sources: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl; x32
// sets bit 30.
bool maps_memory(std::uint32_t number, CodeMode mode) {
    constexpr std::array<std::uint32_t, 4> kNumbers64{9, 10, 0x40000009, 0x4000000A};
    constexpr std::array<std::uint32_t, 3> kNumbers32{90, 125, 192};  // mmap, mprotect, mmap2
    return mode == CodeMode::bits64 ? std::find(kNumbers64.begin(), kNumbers64.end(), number) != kNumbers64.end()
                                    : std::find(kNumbers32.begin(), kNumbers32.end(), number) != kNumbers32.end();
}

struct Decoded {
    std::uint64_t at = 0;  // offset in the stretch
    unsigned length = 0;
    std::optional<unsigned> cpuid_opcode;
};

class Analysis {
   public:
    Analysis(Decoder& decoder, CodeMode mode, const Stretch& stretch, std::uint64_t& budget)
        : decoder_(decoder), mode_(mode), stretch_(stretch), budget_(budget), marks_(stretch.code.size()) {
        for (const std::uint64_t candidate : stretch.candidates) marks_[candidate - stretch.address] |= kCandidate;
    }

    StretchResult run() {
        follow_flow();
        for (const CodeRange& range : stretch_.ranges) decode_linearly(range);
        StretchResult result;
        for (const std::uint64_t candidate : stretch_.candidates) {
            const unsigned says = marks_[candidate - stretch_.address] & unsigned{kSaysSite | kSaysOther};
            result.verdicts.push_back(says == kSaysSite    ? Verdict::site
                                      : says == kSaysOther ? Verdict::not_an_instruction
                                                           : Verdict::undecided);
        }
        if (exhausted_) std::fill(result.verdicts.begin(), result.verdicts.end(), Verdict::undecided);
        std::sort(mapping_calls_.begin(), mapping_calls_.end());
        mapping_calls_.erase(std::unique(mapping_calls_.begin(), mapping_calls_.end()), mapping_calls_.end());
        result.mapping_calls = std::move(mapping_calls_);
        result.believed = std::move(believed_);
        return result;
    }

   private:
    std::optional<Instruction> decode(std::uint64_t at, std::uint64_t end) {
        if (budget_ == 0) {
            exhausted_ = true;
            return std::nullopt;
        }
        --budget_;
        return decoder_.decode(stretch_.code.bytes().subspan(at, end - at), stretch_.address + at);
    }

    void testify(const Decoded& decoded) {
        for (std::uint64_t at = decoded.at; at < decoded.at + decoded.length; ++at) {
            if ((marks_[at] & kCandidate) == 0) continue;
            const bool is_opcode = decoded.cpuid_opcode && at == decoded.at + *decoded.cpuid_opcode;
            marks_[at] |= is_opcode ? kSaysSite : kSaysOther;
        }
        if (decoded.at > 0 && (marks_[decoded.at - 1] & kCandidate) != 0) marks_[decoded.at - 1] |= kSaysOther;
    }

    void follow_flow() {
        std::vector<std::uint64_t> open;
        for (const CodeRange& range : stretch_.ranges) open.push_back(range.start - stretch_.address);
        while (!open.empty()) {
            std::uint64_t at = open.back();
            open.pop_back();
            while (at < marks_.size() && (marks_[at] & kFlowStart) == 0) {
                const auto instruction = decode(at, marks_.size());
                if (!instruction) break;
                marks_[at] |= kFlowStart;
                testify({at, instruction->length, instruction->cpuid_opcode});
                if (instruction->target && *instruction->target - stretch_.address < marks_.size()) {
                    open.push_back(*instruction->target - stretch_.address);
                }
                if (instruction->flow == Flow::jump || instruction->flow == Flow::stop) break;
                at += instruction->length;
            }
        }
    }

    // A branch may enter behind a LOCK prefix: glibc and others skip it while there is one thread only.
    [[nodiscard]] bool on_boundary(const std::vector<bool>& boundaries, std::uint64_t offset_in_range,
                                   std::uint64_t range_at) const {
        if (offset_in_range == boundaries.size() || boundaries[offset_in_range]) return true;
        return offset_in_range > 0 && boundaries[offset_in_range - 1] &&
               stretch_.code.bytes()[range_at + offset_in_range - 1] == kLockPrefix;
    }

    void decode_linearly(const CodeRange& range) {
        const std::uint64_t begin = range.start - stretch_.address;
        const std::uint64_t end = range.end - stretch_.address;
        std::vector<bool> boundaries(end - begin);
        std::vector<Decoded> interesting;
        std::vector<std::uint64_t> targets;
        std::vector<std::uint64_t> calls;
        std::optional<std::uint32_t> eax;

        for (std::uint64_t at = begin; at < end;) {
            const auto instruction = decode(at, end);
            if (!instruction) return;
            boundaries[at - begin] = true;
            if (touches_candidate(at, instruction->length)) {
                interesting.push_back({at, instruction->length, instruction->cpuid_opcode});
            }
            if (instruction->target && *instruction->target - range.start < end - begin) {
                targets.push_back(*instruction->target - range.start);
            }
            if (stretch_.want_mapping_calls) {
                if (eax && maps_memory(*eax, mode_)) {
                    if (instruction->system_call) calls.push_back(stretch_.address + at);
                    if (instruction->flow == Flow::call && instruction->target) follow_call(*instruction->target, *eax, calls);
                }
                eax = eax_after(*instruction, stretch_.code.bytes().subspan(at), stretch_.address + at, eax);
            }
            at += instruction->length;
        }
        const auto stands = [&](std::uint64_t offset) { return on_boundary(boundaries, offset, begin); };
        if (!std::all_of(targets.begin(), targets.end(), stands)) return;
        for (const CodeRange& other : stretch_.ranges) {
            if (other.start >= range.start && other.start < range.end && !stands(other.start - range.start)) return;
        }
        for (std::uint64_t at = begin; at < end; ++at) {
            if ((marks_[at] & kFlowStart) != 0 && !stands(at - begin)) return;
        }
        for (const Decoded& decoded : interesting) testify(decoded);
        believed_.push_back(range);
        mapping_calls_.insert(mapping_calls_.end(), calls.begin(), calls.end());
    }

    [[nodiscard]] bool touches_candidate(std::uint64_t at, unsigned length) const {
        const std::uint64_t first = at == 0 ? 0 : at - 1;
        return std::any_of(marks_.begin() + static_cast<std::ptrdiff_t>(first),
                           marks_.begin() + static_cast<std::ptrdiff_t>(at + length),
                           [](std::uint8_t mark) { return (mark & kCandidate) != 0; });
    }

    // What EAX is known to hold behind an instruction, if it was reached with `before`.
    std::optional<std::uint32_t> eax_after(const Instruction& instruction, std::span<const std::byte> bytes,
                                           std::uint64_t address, std::optional<std::uint32_t> before) {
        if (instruction.loads_eax) return instruction.loads_eax;
        if (!before) return before;
        const bool straight = instruction.flow == Flow::next || instruction.flow == Flow::conditional;
        if (!straight || instruction.system_call || decoder_.writes_eax(bytes, address)) return std::nullopt;
        return before;
    }

    // On i386 a call with six arguments needs EBP too, so glibc makes it in a helper (__libc_do_syscall) that gets the
    // number in EAX: the system call that such a helper reaches without touching EAX counts for its caller.
    void follow_call(std::uint64_t target, std::optional<std::uint32_t> eax, std::vector<std::uint64_t>& calls) {
        constexpr unsigned kLongestHelper = 16;  // instructions
        for (unsigned count = 0; count < kLongestHelper; ++count) {
            const std::uint64_t offset = target - stretch_.segment_address;
            if (offset >= stretch_.segment.size() || budget_ == 0) return;
            --budget_;
            const auto bytes = stretch_.segment.bytes().subspan(offset);
            const auto instruction = decoder_.decode(bytes, target);
            if (!instruction) return;
            if (instruction->system_call) {
                calls.push_back(target);
                return;
            }
            if (eax_after(*instruction, bytes, target, eax) != eax) return;
            target += instruction->length;
        }
    }

    Decoder& decoder_;
    CodeMode mode_;
    const Stretch& stretch_;
    std::uint64_t& budget_;
    bool exhausted_ = false;
    std::vector<std::uint8_t> marks_;  // one per byte of the stretch
    std::vector<std::uint64_t> mapping_calls_;
    std::vector<CodeRange> believed_;
};

}  // namespace

StretchResult analyse(Decoder& decoder, CodeMode mode, const Stretch& stretch, std::uint64_t& budget) {
    return Analysis(decoder, mode, stretch, budget).run();
}

}  // namespace cpulevel::cpuid
