// CRIU's cpuinfo.img (`criu cpuinfo dump`, or in any set of images): two magic words, then one message behind its size.
//     x86:     vendor 1, family 2, model 3, stepping 4, capability_ver 5, capability 6 (repeated), model_id 7,
//              xfeatures_mask 8, xsave_size 9, xsave_size_max 10
//     ppc64:   endian 1, hwcap 2 (repeated);     s390:   hwcap 2 (repeated)
// The capability words are single registers of CPUID in CRIU's own order, which it promises to keep (version 1: 12 of
// them, version 2: 19). On arm64 the file holds nothing. Fields: CRIU images/cpuinfo.proto; order of the words:
// CRIU compel/arch/x86/src/lib/include/uapi/asm/cpu.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "profile/import/format.h"
#include "profile/import/tool_names.h"
#include "util/protobuf_wire.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Register;

constexpr std::string_view kCommonMagic = "\x19\x43\x56\x54";   // IMG_COMMON_MAGIC; images before v1.1 begin below
constexpr std::string_view kCpuinfoMagic = "\x13\x40\x40\x61";  // CPUINFO_MAGIC

std::string_view without_magic(std::string_view text) {
    if (text.starts_with(kCommonMagic)) text.remove_prefix(kCommonMagic.size());
    if (!text.starts_with(kCpuinfoMagic)) return {};
    return text.substr(kCpuinfoMagic.size());
}

bool recognises(std::string_view text) {
    return text.starts_with(kCommonMagic) || text.starts_with(kCpuinfoMagic);
}

struct Word {
    std::size_t index;
    arch::CpuidPlace place;  // bit 0
};
constexpr std::array kWords{Word{0, {1, 0, Register::edx, 0}},           Word{1, {0x80000001, 0, Register::edx, 0}},
                            Word{4, {1, 0, Register::ecx, 0}},           Word{5, {0xC0000001, 0, Register::edx, 0}},
                            Word{6, {0x80000001, 0, Register::ecx, 0}},  Word{9, {7, 0, Register::ebx, 0}},
                            Word{10, {0xd, 1, Register::eax, 0}},        Word{11, {7, 0, Register::ecx, 0}},
                            Word{13, {0x80000008, 0, Register::ebx, 0}}, Word{14, {6, 0, Register::eax, 0}},
                            Word{15, {0x8000000A, 0, Register::edx, 0}}, Word{17, {0x80000007, 0, Register::ebx, 0}},
                            Word{18, {7, 0, Register::edx, 0}}};

std::unexpected<Error> damaged(const std::string& name, const Error& error) {
    return usage_error("cannot import", name, error.what + ", " + error.on + ": " + error.why);
}

class Reader {
   public:
    explicit Reader(const std::string& name) : name_(name) { profile_.name = printable(name); }

    Result<NodeProfile> run(std::string_view text) {
        auto rest = without_magic(text);
        if (rest.data() == nullptr) {
            return usage_error("cannot import", name_, "an image of CRIU, but not cpuinfo.img",
                               "`criu cpuinfo dump -D FOLDER` makes it");
        }
        if (rest.size() < 4) return usage_error("cannot import", name_, "cut: no message behind the magic words");
        std::size_t size = 0;
        for (std::size_t i = 0; i < 4; ++i) size |= std::size_t{static_cast<unsigned char>(rest[i])} << (8U * i);
        rest.remove_prefix(4);
        if (size > rest.size()) {
            return usage_error("cannot import", name_, fmt::format("cut: a message of {} bytes, {} are left", size, rest.size()));
        }
        WireReader reader(rest.substr(0, size));
        for (;;) {
            const auto field = reader.next();
            if (!field) return damaged(name_, field.error());
            if (!*field) break;
            if ((*field)->type != WireType::bytes) continue;
            Result<void> done;
            switch ((*field)->number) {
                case 1: done = read_x86((*field)->bytes); break;
                case 2: done = read_words((*field)->bytes, arch::Architecture::ppc64le); break;
                case 3: done = read_words((*field)->bytes, arch::Architecture::s390x); break;
                default: break;
            }
            if (!done) return std::unexpected(done.error());
        }
        if (kinds_ == 0) {
            return usage_error("cannot import", name_, "it describes no CPU (on arm64 CRIU writes nothing into it)",
                               "run `cpulevel scan` on that machine");
        }
        profile_.origin = "CRIU cpuinfo.img";
        profile_.notes.emplace_back("made from CRIU's cpuinfo.img: the XSAVE layout, AT_MINSIGSTKSZ and the kernel are not "
                                    "known");
        const auto& table = arch::table(profile_.architecture);
        profile_.notes.push_back(
            fmt::format("{} features of which it does not speak are unknown", (table.all() - profile_.known).size()));
        return std::move(profile_);
    }

   private:
    // Several entries are several kinds of CPU of one machine: what all of them have.
    Result<void> add(arch::Architecture architecture, const arch::FeatureSet& features, const arch::FeatureSet& known) {
        if (kinds_ > 0 && architecture != profile_.architecture) {
            return usage_error("cannot import", name_, "CPUs of several architectures in one file");
        }
        profile_.architecture = architecture;
        profile_.features = kinds_ == 0 ? features : profile_.features & features;
        profile_.known = kinds_ == 0 ? known : profile_.known & known;
        profile_.features &= profile_.known;
        ++kinds_;
        return {};
    }

    Result<void> read_x86(std::string_view message) {
        std::vector<std::uint64_t> words;
        Identity identity;
        std::uint64_t state = 0, size = 0, largest = 0;
        WireReader reader(message);
        for (;;) {
            const auto next = reader.next();
            if (!next) return damaged(name_, next.error());
            if (!*next) break;
            const WireField& field = **next;
            const auto number = static_cast<std::uint32_t>(std::min<std::uint64_t>(field.value, 0xffff));
            switch (field.number) {
                case 1: identity.vendor = number == 1 ? "GenuineIntel" : number == 2 ? "AuthenticAMD" : ""; break;
                case 2: identity.family = number; break;
                case 3: identity.model = number; break;
                case 4: identity.stepping = number; break;
                case 6: {
                    const auto more = repeated_numbers(field);
                    if (!more) return damaged(name_, more.error());
                    words.insert(words.end(), more->begin(), more->end());
                    break;
                }
                case 7: identity.brand = printable(trim(field.bytes)); break;
                case 8: state = field.value; break;
                case 9: size = field.value; break;
                case 10: largest = field.value; break;
                default: break;
            }
        }
        if (words.size() < 12) {
            return usage_error("cannot import", name_, fmt::format("{} capability words, at least 12 are wanted", words.size()));
        }
        if (kinds_ == 0) profile_.identity = identity;
        if (state != 0) {
            profile_.notes.push_back(fmt::format("CRIU handles XSAVE components {:#x}: {} bytes of at most {}; where they stand "
                                                 "it does not tell",
                                                 state, size, largest));
        }
        const auto& table = arch::table(arch::Architecture::x86_64);
        arch::FeatureSet features, known;
        table.all().for_each([&](arch::FeatureId id) {
            if (table[id].cpuid.empty()) return;
            const auto& place = table[id].cpuid.front();
            const auto word = std::ranges::find_if(kWords, [&](const Word& one) {
                return one.place.leaf == place.leaf && one.place.subleaf == place.subleaf && one.place.reg == place.reg;
            });
            if (word == kWords.end() || word->index >= words.size()) return;
            known.insert(id);
            if ((words[word->index] >> place.bit & 1U) != 0) features.insert(id);
        });
        // CRIU clears what it does not carry (its component mask), whether the CPU has it or not. x87 and SSE state it carries
        // without naming them in the mask.
        constexpr std::uint64_t kLegacy = 3;
        if (state != 0) {
            known.for_each([&](arch::FeatureId id) {
                if ((table[id].xcr0 & ~(state | kLegacy)) != 0 && !features.contains(id)) uncertain_.insert(id);
            });
        }
        return add(arch::Architecture::x86_64, features, known - uncertain_);
    }

    Result<void> read_words(std::string_view message, arch::Architecture architecture) {
        std::vector<std::uint64_t> words;
        bool big_endian = false, tells_order = false;
        WireReader reader(message);
        for (;;) {
            const auto next = reader.next();
            if (!next) return damaged(name_, next.error());
            if (!*next) break;
            if ((*next)->number == 1 && architecture == arch::Architecture::ppc64le) {
                big_endian = (*next)->value == 0;
                tells_order = true;
            }
            if ((*next)->number != 2) continue;
            const auto more = repeated_numbers(**next);
            if (!more) return damaged(name_, more.error());
            words.insert(words.end(), more->begin(), more->end());
        }
        if (tells_order && big_endian) {
            return usage_error("cannot import", name_, "a big-endian POWER system, of which nothing is known here");
        }
        if (words.empty()) return usage_error("cannot import", name_, "no HWCAP words in it");
        const auto& table = arch::table(architecture);
        arch::FeatureSet known;
        for (std::size_t i = 0; i < std::min(words.size(), profile_.hwcap.size()); ++i) {
            profile_.hwcap.at(i) = kinds_ == 0 ? words[i] : words[i] & profile_.hwcap.at(i).value_or(0);
            known |= table.in_hwcap_word(static_cast<std::uint8_t>(i));
        }
        return add(architecture, table.from_hwcap(profile_.hwcap), known);
    }

    const std::string& name_;
    NodeProfile profile_;
    arch::FeatureSet uncertain_;
    std::size_t kinds_ = 0;
};

Result<NodeProfile> read(std::string_view text, const std::string& name) { return Reader(name).run(text); }

}  // namespace

extern const Format kCriu{"criu", "CRIU's cpuinfo.img", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
