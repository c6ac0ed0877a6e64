#include "cpuid/patch_finder.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cpuid/movable.h"

namespace cpulevel::cpuid {
namespace {

// From the load of a table's entry to the jump are an addition and, at most, what a compiler mixes in.
constexpr unsigned kDispatchLength = 6;  // instructions

// A site on its way to a patch: it has one as long as nothing is said against it.
struct Candidate {
    Site site;
    std::optional<PatchRefusal> refusal;
    SitePatch patch;
    std::size_t first_length = 0;   // of the patch's first instruction, bytes; where one before the site moves
    std::uint64_t known_begin = 0;  // the believed functions around it: their branches are known by decoding
    std::uint64_t known_end = 0;
    bool has_switch = false;        // the function, or a part of it, jumps by a relative table

    void refuse(PatchRefusal reason) {
        if (!refusal) refusal = reason;
    }
};

enum class IndirectJump : std::uint8_t { none, through_memory, through_register };

// FF /4; a far one (FF /5) counts as one through a register: we know nothing of where it leads.
IndirectJump indirect_jump(const Instruction& instruction, std::span<const std::byte> bytes) {
    if (instruction.flow != Flow::jump || instruction.target) return IndirectJump::none;
    const unsigned prefixes = instruction.opcode_at;
    if (instruction.length < prefixes + 2) return IndirectJump::through_register;
    const auto modrm = std::to_integer<unsigned>(bytes[prefixes + 1]);
    const bool memory = (modrm >> 6U) != 3 && ((modrm >> 3U) & 7U) == 4;
    return memory ? IndirectJump::through_memory : IndirectJump::through_register;
}

// MOVSXD of an element of an array of four-byte integers, without a displacement: how a PIC switch reads its table.
bool loads_table_entry(const Instruction& instruction, std::span<const std::byte> bytes) {
    const unsigned prefixes = instruction.opcode_at;
    if (instruction.length != prefixes + 3 || bytes[prefixes] != std::byte{0x63}) return false;
    const auto modrm = std::to_integer<unsigned>(bytes[prefixes + 1]);
    const auto sib = std::to_integer<unsigned>(bytes[prefixes + 2]);
    return (modrm & 0xC7U) == 0x04 && (sib >> 6U) == 2 && (sib & 7U) != 5;
}

// What a RIP-relative LEA loads.
std::optional<std::uint64_t> taken_address(const Instruction& instruction, std::span<const std::byte> bytes,
                                           std::uint64_t address) {
    const auto whole = bytes.first(instruction.length);
    if (instruction.opcode_at >= whole.size() || whole[instruction.opcode_at] != std::byte{0x8D}) return std::nullopt;
    const auto moved = movable(whole);
    if (!moved || !moved->rip_displacement) return std::nullopt;
    const auto displacement = ByteView(whole).read<std::int32_t>(*moved->rip_displacement);
    if (!displacement) return std::nullopt;
    return address + instruction.length + static_cast<std::uint64_t>(std::int64_t{*displacement});
}

// CPUID, or SYSCALL, without prefixes.
bool is_site(const Instruction& instruction, std::span<const std::byte> bytes) {
    return instruction.cpuid_opcode ||
           (instruction.length == 2 && bytes[0] == std::byte{0x0F} && bytes[1] == std::byte{0x05});
}

// An instruction that a patch moves, `at` bytes behind the patch's start; false if it must not.
bool add_moved(SitePatch& patch, std::size_t at, const Instruction& instruction, std::span<const std::byte> bytes) {
    if (instruction.flow != Flow::next || instruction.target || instruction.system_call || instruction.cpuid_opcode) {
        return false;
    }
    const auto moved = movable(bytes.first(instruction.length));
    if (!moved || at + instruction.length > SitePatch::kMostLength) return false;
    if (!moved->rip_displacement) return true;
    if (patch.operand_count == SitePatch::kMostOperands) return false;
    patch.operands[patch.operand_count++] = {
        .displacement = static_cast<std::uint8_t>(at + *moved->rip_displacement),
        .instruction_end = static_cast<std::uint8_t>(at + instruction.length)};
    return true;
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
        refuse_overlaps();
        refuse_entries();
        refuse_known_targets();
        refuse_raw_arrivals();
        refuse_switch_targets();

        PatchAnswer answer;
        for (const Candidate& each : candidates_) {
            if (each.refusal) {
                answer.unpatched.push_back({each.site.file_offset, *each.refusal});
            } else {
                answer.patches.push_back(each.patch);
            }
        }
        std::ranges::sort(answer.patches, {}, &SitePatch::site_offset);
        std::ranges::sort(answer.unpatched, {}, &Unpatched::file_offset);
        return answer;
    }

   private:
    using Candidates = std::span<Candidate>;

    struct JumpKinds {
        bool unknown = false;         // through a register, and not a switch
        bool by_table = false;        // a switch with a relative table
    };

    struct Walk {
        bool complete = false;        // to the range's end
        JumpKinds kinds;
        std::vector<std::uint64_t> jumps;  // targets of direct jumps and branches, calls not included
        std::vector<std::uint64_t> calls;
        std::vector<std::uint64_t> objects;  // whose addresses LEA takes
    };

    // Decodes a range linearly; `each` gets every instruction's address, its bytes and what follows them in the range.
    template <class Each>
    Walk walk(const CodeRange& range, const Each& each) {
        Walk result;
        const auto code = question_.image.code(range.start, range.end);
        if (!code) return result;
        unsigned since_table_load = kDispatchLength;
        for (std::uint64_t at = 0; at < code->size();) {
            if (budget_ == 0) return result;
            --budget_;
            const auto rest = code->bytes().subspan(at);
            const auto instruction = decoder_.decode(rest, range.start + at);
            if (!instruction) return result;
            if (const auto object = taken_address(*instruction, rest, range.start + at)) result.objects.push_back(*object);
            since_table_load = loads_table_entry(*instruction, rest) ? 0 : since_table_load + 1;
            if (indirect_jump(*instruction, rest) == IndirectJump::through_register) {
                (since_table_load < kDispatchLength ? result.kinds.by_table : result.kinds.unknown) = true;
            }
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
        std::vector<Past> past;  // only where it is needed
        const Walk found = walk(range, [&](std::uint64_t at, const Instruction& instruction,
                                           std::span<const std::byte> rest) {
            for (; next != end && next->site.address < at + instruction.length; ++next) {
                next->known_begin = next->known_end == 0 ? range.start : std::min(next->known_begin, range.start);
                next->known_end = std::max(next->known_end, range.end);
                if (next->site.address != at || !is_site(instruction, rest)) {
                    next->refuse(PatchRefusal::prefixes);
                } else if (question_.before) {
                    prepare_before(*next, past);
                } else {
                    prepare(*next, rest);
                }
            }
            if (!question_.before) return;
            if (past.size() == SitePatch::kJumpLength) past.erase(past.begin());
            past.push_back({instruction, rest});
        });
        if (!found.complete) return refuse_all(PatchRefusal::undecoded);
        JumpKinds kinds = found.kinds;
        for (const std::uint64_t target : found.jumps) {
            if (target >= range.start && target < range.end) continue;
            const JumpKinds part = kinds_at(target);
            kinds.unknown = kinds.unknown || part.unknown;
            kinds.by_table = kinds.by_table || part.by_table;
        }
        if (kinds.unknown) return refuse_all(PatchRefusal::indirect_jump);
        for (Candidate& each : inside) each.has_switch = each.has_switch || kinds.by_table;
        known_targets_.insert(known_targets_.end(), found.jumps.begin(), found.jumps.end());
        known_targets_.insert(known_targets_.end(), found.calls.begin(), found.calls.end());
        objects_.insert(found.objects.begin(), found.objects.end());
    }

    // How the function at a jump's target jumps: it may be a part of the one that we came from.
    JumpKinds kinds_at(std::uint64_t target) {
        const auto after = std::ranges::upper_bound(question_.ranges, target, {}, &CodeRange::start);
        if (after == question_.ranges.begin() || target >= std::prev(after)->end) return {.unknown = true};
        const CodeRange& range = *std::prev(after);
        const auto known = parts_.find(range.start);
        if (known != parts_.end()) return known->second;
        const Walk found = walk(range, [](std::uint64_t, const Instruction&, std::span<const std::byte>) {});
        return parts_[range.start] = found.complete ? found.kinds : JumpKinds{.unknown = true};
    }

    // Fills the patch of a candidate whose site stands at the start of `rest`, which ends with the function.
    void prepare(Candidate& candidate, std::span<const std::byte> rest) {
        SitePatch patch;
        patch.file_offset = candidate.site.file_offset;
        std::size_t length = SitePatch::kSiteLength;
        while (length < SitePatch::kJumpLength) {
            const auto behind = rest.subspan(length);
            const auto instruction = decoder_.decode_surely(behind, candidate.site.address + length);
            if (!instruction || !add_moved(patch, length, *instruction, behind)) {
                return candidate.refuse(PatchRefusal::immovable);
            }
            length += instruction->length;
        }
        patch.length = static_cast<std::uint8_t>(length);
        std::ranges::copy(rest.first(length), patch.original.begin());
        candidate.patch = patch;
    }

    // The last instructions of a walk before the one that it is at.
    struct Past {
        Instruction instruction;
        std::span<const std::byte> bytes;  // from it to the function's end
    };

    // The same with what stands before the site.
    void prepare_before(Candidate& candidate, std::span<const Past> past) {
        SitePatch patch;
        std::size_t lead = 0;
        std::size_t first = past.size();
        while (lead + SitePatch::kSiteLength < SitePatch::kJumpLength && first != 0) lead += past[--first].instruction.length;
        if (lead + SitePatch::kSiteLength < SitePatch::kJumpLength || lead + SitePatch::kSiteLength > SitePatch::kMostLength) {
            return candidate.refuse(PatchRefusal::immovable);
        }
        patch.file_offset = candidate.site.file_offset - lead;
        patch.site = static_cast<std::uint8_t>(lead);
        patch.length = static_cast<std::uint8_t>(lead + SitePatch::kSiteLength);
        std::ranges::copy(past[first].bytes.first(patch.length), patch.original.begin());
        candidate.first_length = past[first].instruction.length;
        std::size_t at = 0;
        for (; first != past.size(); ++first) {
            const auto instruction = decoder_.decode_surely(past[first].bytes, candidate.site.address - lead + at);
            if (!instruction || instruction->length != past[first].instruction.length ||
                !add_moved(patch, at, *instruction, past[first].bytes)) {
                return candidate.refuse(PatchRefusal::immovable);
            }
            at += past[first].instruction.length;
        }
        candidate.patch = patch;
    }

    void refuse_overlaps() {
        std::vector<const SitePatch*> all;
        for (const SitePatch& patch : question_.taken) all.push_back(&patch);
        for (const Candidate& each : candidates_) {
            if (each.patch.length != 0) all.push_back(&each.patch);
        }
        std::ranges::sort(all, {}, [](const SitePatch* patch) { return patch->file_offset; });
        std::set<std::uint64_t> overlapping;
        for (std::size_t i = 1; i < all.size(); ++i) {
            if (all[i - 1]->file_offset + all[i - 1]->length <= all[i]->file_offset) continue;
            overlapping.insert(all[i - 1]->file_offset);
            overlapping.insert(all[i]->file_offset);
        }
        for (Candidate& each : candidates_) {
            if (overlapping.contains(each.patch.file_offset)) each.refuse(PatchRefusal::immovable);
        }
    }

    [[nodiscard]] static Intervals::Interval interior(const Candidate& candidate) {
        const std::uint64_t start = candidate.site.address - candidate.patch.site;
        return {start + 1, start + candidate.patch.length};
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

    // CPUID itself begins no function: its leaf has to be put into EAX.
    void refuse_entries() {
        for (Candidate& each : candidates_) {
            if (each.patch.site == 0 || each.first_length >= SitePatch::kJumpLength) continue;
            const std::uint64_t start = each.site.address - each.patch.site;
            const auto range = std::ranges::lower_bound(question_.ranges, start, {}, &CodeRange::start);
            if (range != question_.ranges.end() && range->start == start) each.refuse(PatchRefusal::anchor);
        }
    }

    void refuse_raw_arrivals() {
        for (Candidate& each : candidates_) {
            if (each.refusal) continue;
            const auto refusal = question_.arrivals.refusal(
                {.interior = interior(each), .known_begin = each.known_begin, .known_end = each.known_end});
            if (refusal) each.refuse(*refusal);
        }
    }

    void refuse_switch_targets() {
        std::vector<std::size_t> index;
        const Intervals intervals = interiors(index);
        if (std::ranges::none_of(index, [&](std::size_t at) { return candidates_[at].has_switch; })) return;
        const bool enough = question_.tables.find(intervals, objects_, budget_, [&](std::size_t at, std::uint64_t) {
            candidates_[index[at]].refuse(PatchRefusal::branch_target);
        });
        if (enough) return;
        for (const std::size_t at : index) {
            if (candidates_[at].has_switch) candidates_[at].refuse(PatchRefusal::indirect_jump);
        }
    }

    Decoder& decoder_;
    const PatchQuestion& question_;
    std::uint64_t& budget_;
    std::vector<Candidate> candidates_;
    std::vector<std::uint64_t> known_targets_;
    std::set<std::uint64_t> objects_;      // that the examined functions take the addresses of
    std::map<std::uint64_t, JumpKinds> parts_;  // by their start
};

}  // namespace

bool proves_itself(Decoder& decoder, const SitePatch& patch) {
    if (patch.length < SitePatch::kJumpLength || patch.length > SitePatch::kMostLength) return false;
    const auto bytes = std::span(patch.original).first(patch.length);
    SitePatch again;
    bool has_site = false;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto rest = bytes.subspan(at);
        const auto instruction = decoder.decode_surely(rest, at);
        if (!instruction || instruction->length > rest.size()) return false;
        if (at == patch.site) {
            has_site = is_site(*instruction, rest) && instruction->length == SitePatch::kSiteLength;
            if (!has_site) return false;
        } else if (!add_moved(again, at, *instruction, rest)) {
            return false;
        }
        at += instruction->length;
    }
    return has_site && again.operand_count == patch.operand_count && again.operands == patch.operands;
}

PatchAnswer find_patches(Decoder& decoder, const PatchQuestion& question, std::uint64_t& budget) {
    if (question.image.mode() != CodeMode::bits64 || question.image.pointer_size() != 8 || question.sites.empty()) return {};
    return Finder(decoder, question, budget).run();
}

}  // namespace cpulevel::cpuid
