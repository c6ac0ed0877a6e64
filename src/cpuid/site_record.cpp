// Layout, little-endian, no padding: magic (8 bytes), checksum (8: FNV-1a of all that follows), version (4), the identity (5 x 8),
// then the lists, each with its count (4 bytes) before it, and strings with their length (4) before them.
#include "cpuid/site_record.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "cpuid/decoder.h"
#include "cpuid/elf_image.h"
#include "cpuid/patch_finder.h"

namespace cpulevel::cpuid {
namespace {

constexpr std::array kMagic{'c', 'p', 'l', 's', 'i', 't', 'e', '\n'};
constexpr std::size_t kLongestText = 4096;  // bytes: PATH_MAX

std::uint64_t checksum(std::span<const std::byte> bytes) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
    return hash;
}

class Writer {
   public:
    template <class T>
    void number(T value) {
        static_assert(std::is_integral_v<T>);
        bytes(std::as_bytes(std::span(&value, 1)));
    }
    void bytes(std::span<const std::byte> more) { out_.insert(out_.end(), more.begin(), more.end()); }
    void text(const std::string& text) {
        number(static_cast<std::uint32_t>(text.size()));
        bytes(std::as_bytes(std::span(text)));
    }
    void sites(const std::vector<Site>& sites) {
        number(static_cast<std::uint32_t>(sites.size()));
        for (const Site& site : sites) {
            number(site.file_offset);
            number(site.address);
        }
    }
    void patches(const std::vector<SitePatch>& patches) {
        number(static_cast<std::uint32_t>(patches.size()));
        for (const SitePatch& patch : patches) {
            number(patch.file_offset);
            number(patch.length);
            number(patch.site);
            number(patch.operand_count);
            for (const SitePatch::RipOperand& operand : patch.operands) {
                number(operand.displacement);
                number(operand.instruction_end);
            }
            bytes(patch.original);
        }
    }
    [[nodiscard]] const std::vector<std::byte>& out() const { return out_; }

   private:
    std::vector<std::byte> out_;
};

// Every read may fail; after the first failure all do.
class Reader {
   public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    template <class T>
    T number() {
        const auto value = bytes_.read<T>(at_);
        at_ += sizeof(T);
        if (!value) failed_ = true;
        return value.value_or(0);
    }
    // A count of things of at least `size` bytes each: never more than can be there.
    std::uint32_t count(std::size_t size) {
        const auto count = number<std::uint32_t>();
        if (failed_ || count > (bytes_.size() - at_) / size) failed_ = true;
        return failed_ ? 0 : count;
    }
    std::span<const std::byte> bytes(std::size_t size) {
        const auto part = bytes_.part(at_, size);
        at_ += size;
        if (!part) failed_ = true;
        return part ? part->bytes() : std::span<const std::byte>{};
    }
    std::string text() {
        const std::uint32_t size = count(1);
        if (size > kLongestText) failed_ = true;
        if (failed_) return {};
        const auto part = bytes(size);
        std::string text(part.size(), '\0');
        std::memcpy(text.data(), part.data(), part.size());
        if (text.find('\0') != std::string::npos) failed_ = true;
        return text;
    }
    std::vector<Site> sites() {
        std::vector<Site> sites(count(2 * sizeof(std::uint64_t)));
        for (Site& site : sites) {
            site.file_offset = number<std::uint64_t>();
            site.address = number<std::uint64_t>();
        }
        return sites;
    }
    std::vector<SitePatch> patches() {
        constexpr std::size_t kSize = 8 + 3 + 2 * SitePatch::kMostOperands + SitePatch::kMostLength;
        std::vector<SitePatch> patches(count(kSize));
        for (SitePatch& patch : patches) {
            patch.file_offset = number<std::uint64_t>();
            patch.length = number<std::uint8_t>();
            patch.site = number<std::uint8_t>();
            patch.operand_count = number<std::uint8_t>();
            for (SitePatch::RipOperand& operand : patch.operands) {
                operand.displacement = number<std::uint8_t>();
                operand.instruction_end = number<std::uint8_t>();
            }
            if (const auto original = bytes(patch.original.size()); !failed_) std::ranges::copy(original, patch.original.begin());
        }
        return patches;
    }
    [[nodiscard]] bool whole() const { return !failed_ && at_ == bytes_.size(); }

   private:
    ByteView bytes_;
    std::uint64_t at_ = 0;
    bool failed_ = false;
};

std::unexpected<Error> no_record(std::string why) { return usage_error("not a usable site record", {}, std::move(why)); }

// In order, apart from each other, each of one of the sites, and right as far as its own bytes tell.
bool believable(const std::vector<SitePatch>& patches, const std::vector<Site>& sites, std::byte second, std::uint64_t file_size) {
    if (patches.empty()) return true;
    auto decoder = Decoder::open(CodeMode::bits64);
    if (!decoder) return false;
    std::uint64_t end = 0;
    for (const SitePatch& patch : patches) {
        if (patch.file_offset < end || patch.file_offset > file_size || file_size - patch.file_offset < patch.length) return false;
        if (!proves_itself(*decoder, patch) || patch.original[patch.site + std::size_t{1}] != second) return false;
        if (std::ranges::find(sites, patch.site_offset(), &Site::file_offset) == sites.end()) return false;
        end = patch.file_offset + patch.length;
    }
    return true;
}

}  // namespace

std::vector<std::byte> write_site_record(const FileIdentity& file, const SiteScan& scan) {
    Writer body;
    body.number(kSiteRecordVersion);
    for (const std::uint64_t each : {file.device, file.inode, file.size}) body.number(each);
    body.number(file.seconds);
    body.number(file.nanoseconds);
    body.text(scan.build_id);
    body.text(scan.layout.interpreter);
    body.number(scan.layout.lowest);
    body.number(scan.layout.entry);
    body.number(static_cast<std::uint32_t>(scan.layout.text.size()));
    for (const Layout::Text& text : scan.layout.text) {
        for (const std::uint64_t each : {text.offset, text.address, text.size}) body.number(each);
    }
    body.sites(scan.sites);
    body.sites(scan.undecided);
    body.sites(scan.mmap_calls);
    body.patches(scan.patches);
    body.patches(scan.map_call_patches);

    Writer record;
    record.bytes(std::as_bytes(std::span(kMagic)));
    record.number(checksum(body.out()));
    record.bytes(body.out());
    return record.out();
}

Result<SiteScan> read_site_record(const FileIdentity& file, std::span<const std::byte> record) {
    constexpr std::size_t kHead = kMagic.size() + sizeof(std::uint64_t);
    if (record.size() < kHead || std::memcmp(record.data(), kMagic.data(), kMagic.size()) != 0) return no_record("it is none");
    std::uint64_t stated = 0;
    std::memcpy(&stated, record.data() + kMagic.size(), sizeof stated);
    if (stated != checksum(record.subspan(kHead))) return no_record("it is damaged");

    Reader body(record.subspan(kHead));
    if (body.number<std::uint32_t>() != kSiteRecordVersion) return no_record("another version made it");
    FileIdentity of;
    of.device = body.number<std::uint64_t>();
    of.inode = body.number<std::uint64_t>();
    of.size = body.number<std::uint64_t>();
    of.seconds = body.number<std::int64_t>();
    of.nanoseconds = body.number<std::int64_t>();
    if (of != file) return no_record("it is of another file, or of another content");

    SiteScan scan;
    scan.build_id = body.text();
    scan.layout.interpreter = body.text();
    scan.layout.lowest = body.number<std::uint64_t>();
    scan.layout.entry = body.number<std::uint64_t>();
    scan.layout.text.resize(body.count(3 * sizeof(std::uint64_t)));
    for (Layout::Text& text : scan.layout.text) {
        text.offset = body.number<std::uint64_t>();
        text.address = body.number<std::uint64_t>();
        text.size = body.number<std::uint64_t>();
        if (text.offset > file.size || file.size - text.offset < text.size) return no_record("text beyond the file's end");
    }
    scan.sites = body.sites();
    scan.undecided = body.sites();
    scan.mmap_calls = body.sites();
    scan.patches = body.patches();
    scan.map_call_patches = body.patches();
    if (!body.whole()) return no_record("it does not end where it should");
    constexpr std::byte kSecondOfCpuid{0xa2}, kSecondOfSyscall{0x05};
    if (!believable(scan.patches, scan.sites, kSecondOfCpuid, file.size) ||
        !believable(scan.map_call_patches, scan.mmap_calls, kSecondOfSyscall, file.size)) {
        return no_record("a patch in it is none");
    }
    return scan;
}

}  // namespace cpulevel::cpuid
