#include "cpuid/patch_finder.h"

#include <algorithm>
#include <map>
#include <optional>

#include "cpuid/arrivals.h"
#include "cpuid/movable.h"

namespace cpulevel::cpuid {
namespace {

// A site on its way to a patch: it has one as long as nothing is said against it.
struct Candidate {
    Site site;
    std::optional<PatchRefusal> refusal;
    SitePatch patch;
    std::uint64_t known_begin = 0;  // the believed functions around it: their branches are known by decoding
    std::uint64_t known_end = 0;

    void refuse(PatchRefusal reason) {
        if (!refusal) refusal = reason;
    }
};

// JMP through a register, or a far one: what it leads to stands nowhere in the file as an address. FF /4 and FF /5.
bool is_register_jump(const Instruction& instruction, std::span<const std::byte> bytes) {
    if (instruction.flow != Flow::jump || instruction.target) return false;
    const Prefixes prefixes = read_prefixes(bytes.first(instruction.length), CodeMode::bits64);
    if (instruction.length < prefixes.count + 2) return true;
    const auto modrm = std::to_integer<unsigned>(bytes[prefixes.count + 1]);
    const bool through_memory = (modrm >> 6U) != 3;
    const bool near = ((modrm >> 3U) & 7U) == 4;
    return !(through_memory && near);
}

class Finder {
   public:
    Finder(Decoder& decoder, const PatchQuestion& question, std::uint64_t& budget)
        : decoder_(decoder), question_(question), budget_(budget) {
        for (const Site& site : question.sites) candidates_.push_back({.site = site, .refusal = {}, .patch = {}});
    }

    PatchAnswer run() {
        for (const CodeRange& range : question_.ranges) examine_range(range);
        for (Candidate& each : candidates_) {
            if (each.patch.length == 0) each.refuse(PatchRefusal::undecoded);
        }
        refuse_known_targets();
        refuse_raw_arrivals();

        PatchAnswer answer;
        for (const Candidate& each : candidates_) {
            if (each.refusal) {
                answer.unpatched.push_back({each.site.file_offset, *each.refusal});
            } else {
                answer.patches.push_back(each.patch);
            }
        }
        std::ranges::sort(answer.patches, {}, &SitePatch::file_offset);
        std::ranges::sort(answer.unpatched, {}, &Unpatched::file_offset);
        return answer;
    }

   private:
    using Candidates = std::span<Candidate>;

    struct Walk {
        bool complete = false;        // to the range's end
        bool register_jump = false;
        std::vector<std::uint64_t> jumps;  // targets of direct jumps and branches, calls not included
        std::vector<std::uint64_t> calls;
    };

    // Decodes a range linearly; `each` gets every instruction's address, its bytes and what follows them in the range.
    template <class Each>
    Walk walk(const CodeRange& range, const Each& each) {
        Walk result;
        const auto code = question_.image.code(range.start, range.end);
        if (!code) return result;
        for (std::uint64_t at = 0; at < code->size();) {
            if (budget_ == 0) return result;
            --budget_;
            const auto rest = code->bytes().subspan(at);
            const auto instruction = decoder_.decode(rest, range.start + at);
            if (!instruction) return result;
            if (is_register_jump(*instruction, rest)) result.register_jump = true;
            if (instruction->target) {
                (instruction->flow == Flow::call ? result.calls : result.jumps).push_back(*instruction->target);
            }
            each(range.start + at, *instruction, rest);
            at += instruction->length;
        }
        result.complete = true;
        return result;
    }

    [[nodiscard]] Candidates sites_in(const CodeRange& range) {
        const auto address = [](const Candidate& each) { return each.site.address; };
        return {std::ranges::lower_bound(candidates_, range.start, {}, address),
                std::ranges::lower_bound(candidates_, range.end, {}, address)};
    }

    void examine_range(const CodeRange& range) {
        const Candidates inside = sites_in(range);
        if (inside.empty()) return;
        const auto refuse_all = [&](PatchRefusal reason) {
            for (Candidate& each : inside) {
                if (budget_ > 0) --budget_;  // many overlapping ranges with many sites must end, too
                each.refuse(reason);
            }
        };
        if (!std::ranges::binary_search(question_.believed, range)) return refuse_all(PatchRefusal::undecoded);

        Candidate* next = inside.data();
        Candidate* const end = next + inside.size();
        const Walk found = walk(range, [&](std::uint64_t at, const Instruction& instruction,
                                           std::span<const std::byte> rest) {
            for (; next != end && next->site.address < at + instruction.length; ++next) {
                next->known_begin = next->known_end == 0 ? range.start : std::min(next->known_begin, range.start);
                next->known_end = std::max(next->known_end, range.end);
                if (instruction.cpuid_opcode && next->site.address == at) {
                    prepare(*next, rest);
                } else {
                    next->refuse(PatchRefusal::prefixes);
                }
            }
        });
        if (!found.complete) return refuse_all(PatchRefusal::undecoded);
        if (found.register_jump) return refuse_all(PatchRefusal::indirect_jump);
        for (const std::uint64_t target : found.jumps) {
            if (target >= range.start && target < range.end) continue;
            if (part_has_register_jump(target)) return refuse_all(PatchRefusal::indirect_jump);
        }
        known_targets_.insert(known_targets_.end(), found.jumps.begin(), found.jumps.end());
        known_targets_.insert(known_targets_.end(), found.calls.begin(), found.calls.end());
    }

    // Whether the function at a jump's target, which may be a part of the one that jumps, has a register jump.
    bool part_has_register_jump(std::uint64_t target) {
        const auto after = std::ranges::upper_bound(question_.ranges, target, {}, &CodeRange::start);
        if (after == question_.ranges.begin()) return true;
        const CodeRange& range = *std::prev(after);
        if (target >= range.end) return true;
        const auto known = parts_.find(range.start);
        if (known != parts_.end()) return known->second;
        const Walk found = walk(range, [](std::uint64_t, const Instruction&, std::span<const std::byte>) {});
        return parts_[range.start] = !found.complete || found.register_jump;
    }

    // Fills the patch of a candidate whose CPUID stands at the start of `rest`, which ends with the function.
    void prepare(Candidate& candidate, std::span<const std::byte> rest) {
        SitePatch patch;
        patch.file_offset = candidate.site.file_offset;
        std::size_t length = 2;
        while (length < SitePatch::kJumpLength) {
            const auto behind = rest.subspan(length);
            const auto instruction = decoder_.decode(behind, candidate.site.address + length);
            if (!instruction || instruction->flow != Flow::next || instruction->target || instruction->system_call ||
                instruction->cpuid_opcode) {
                return candidate.refuse(PatchRefusal::immovable);
            }
            const auto moved = movable(behind.first(instruction->length));
            if (!moved || length + instruction->length > SitePatch::kMostLength) {
                return candidate.refuse(PatchRefusal::immovable);
            }
            if (moved->rip_displacement) {
                if (patch.operand_count == SitePatch::kMostOperands) return candidate.refuse(PatchRefusal::immovable);
                patch.operands[patch.operand_count++] = {
                    .displacement = static_cast<std::uint8_t>(length + *moved->rip_displacement),
                    .instruction_end = static_cast<std::uint8_t>(length + instruction->length)};
            }
            length += instruction->length;
        }
        patch.length = static_cast<std::uint8_t>(length);
        std::ranges::copy(rest.first(length), patch.original.begin());
        candidate.patch = patch;
    }

    [[nodiscard]] static Intervals::Interval interior(const Candidate& candidate) {
        return {candidate.site.address + 1, candidate.site.address + candidate.patch.length};
    }

    // The interiors of the candidates that are not refused; `index` gets their places in candidates_.
    [[nodiscard]] Intervals interiors(std::vector<std::size_t>& index) const {
        std::vector<Intervals::Interval> result;
        for (std::size_t at = 0; at < candidates_.size(); ++at) {
            if (candidates_[at].refusal) continue;
            result.push_back(interior(candidates_[at]));
            index.push_back(at);
        }
        return Intervals(std::move(result));
    }

    void refuse_known_targets() {
        std::vector<std::size_t> index;
        const Intervals intervals = interiors(index);
        if (intervals.empty()) return;
        for (const std::uint64_t target : known_targets_) {
            if (const auto at = intervals.find(target)) candidates_[index[*at]].refuse(PatchRefusal::branch_target);
        }
        for (const CodeRange& range : question_.ranges) {
            if (const auto at = intervals.find(range.start)) candidates_[index[*at]].refuse(PatchRefusal::anchor);
        }
    }

    // The same bytes at several addresses, or scanned once for each of thousands of headers, are no linker's work.
    [[nodiscard]] bool headers_overlap() const {
        std::uint64_t left = question_.file_size;
        const auto take = [&](std::uint64_t size) {
            const bool fits = size <= left;
            left -= fits ? size : 0;
            return fits;
        };
        return !std::ranges::all_of(question_.image.segments(), take, &ElfImage::Segment::size) ||
               !std::ranges::all_of(question_.image.sections(), [&](const ElfImage::Section& section) {
                   return section.type != SHT_SYMTAB || take(section.content.size());
               });
    }

    void refuse_raw_arrivals() {
        std::vector<std::size_t> index;
        const Intervals intervals = interiors(index);
        if (intervals.empty()) return;
        if (headers_overlap()) {
            for (const std::size_t at : index) candidates_[at].refuse(PatchRefusal::undecoded);
            return;
        }
        const auto refuse_as = [&](PatchRefusal reason) {
            return [&, reason](std::size_t at) { candidates_[index[at]].refuse(reason); };
        };
        for (const ElfImage::Segment& segment : question_.image.segments()) {
            const auto content = question_.image.bytes_at(segment.address);
            if (!content) continue;
            const auto bytes = content->bytes();
            find_pointers(bytes, intervals, refuse_as(PatchRefusal::anchor));
            if (!segment.executable) continue;
            find_long_arrivals(bytes, segment.address, intervals, refuse_as(PatchRefusal::branch_target));
            if (question_.image.type() == ET_EXEC) {
                find_immediates(bytes, intervals, refuse_as(PatchRefusal::branch_target));
            }
            for (const std::size_t at : index) {
                Candidate& each = candidates_[at];
                if (each.site.address - segment.address >= segment.size) continue;
                if (has_short_arrival(bytes, segment.address, interior(each), each.known_begin, each.known_end)) {
                    each.refuse(PatchRefusal::branch_target);
                }
            }
        }
        for (const ElfImage::Section& section : question_.image.sections()) {
            if (section.type != SHT_SYMTAB) continue;  // the only symbol table that no segment holds
            find_pointers(section.content.bytes(), intervals, refuse_as(PatchRefusal::anchor));
        }
    }

    Decoder& decoder_;
    const PatchQuestion& question_;
    std::uint64_t& budget_;
    std::vector<Candidate> candidates_;
    std::vector<std::uint64_t> known_targets_;
    std::map<std::uint64_t, bool> parts_;  // by their start: whether they have a register jump
};

}  // namespace

PatchAnswer find_patches(Decoder& decoder, const PatchQuestion& question, std::uint64_t& budget) {
    if (question.image.mode() != CodeMode::bits64 || question.image.pointer_size() != 8 || question.sites.empty()) return {};
    return Finder(decoder, question, budget).run();
}

}  // namespace cpulevel::cpuid
