// A bounded reader of the parts of an ELF file that the site finder needs. The file is hostile: every offset, size and
// count is checked against the bytes that are there before it is used, in arithmetic that cannot wrap.
//
// Why not libelf: it is one more library in the executable, it wants writable or file-backed memory for some calls, and of
// its comfort we would use only the two header tables.
//
// What the kernel needs to run a file (ELF header, program headers, executable segments) must be right, or parse() says
// what is wrong. Section headers are advice that the kernel ignores: damaged ones count as absent.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cpuid/instruction.h"
#include "util/error.h"

namespace cpulevel::cpuid {

// Reads of plain little-endian values at offsets; outside the bytes there is no value.
class ByteView {
   public:
    ByteView() = default;
    explicit ByteView(std::span<const std::byte> bytes) : bytes_(bytes) {}

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }

    template <class T>
    [[nodiscard]] std::optional<T> read(std::uint64_t offset) const {
        static_assert(std::is_trivially_copyable_v<T>);
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
        T value;
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return value;
    }

    // Nothing unless all of it is there.
    [[nodiscard]] std::optional<ByteView> part(std::uint64_t offset, std::uint64_t size) const {
        if (offset > bytes_.size() || bytes_.size() - offset < size) return std::nullopt;
        return ByteView(bytes_.subspan(offset, size));
    }

    // A NUL-terminated string; nothing if the NUL is missing.
    [[nodiscard]] std::optional<std::string_view> text(std::uint64_t offset) const;

   private:
    std::span<const std::byte> bytes_;
};

class ElfImage {
   public:
    // The part of a PT_LOAD that is in the file.
    struct Segment {
        std::uint64_t address = 0;  // as linked
        std::uint64_t offset = 0;   // in the file
        std::uint64_t size = 0;     // bytes in the file
        bool executable = false;
    };
    struct Section {
        std::string_view name;
        std::uint32_t type = 0;     // SHT_
        std::uint64_t flags = 0;    // SHF_
        std::uint64_t address = 0;
        std::uint64_t entry_size = 0;
        ByteView content;           // empty for SHT_NOBITS
    };

    [[nodiscard]] static Result<ElfImage> parse(std::span<const std::byte> file);

    [[nodiscard]] CodeMode mode() const { return mode_; }
    [[nodiscard]] unsigned pointer_size() const { return wide_ ? 8 : 4; }  // x32: 4, in 64-bit mode
    [[nodiscard]] std::uint16_t type() const { return type_; }             // ET_EXEC or ET_DYN
    [[nodiscard]] std::uint64_t entry() const { return entry_; }
    [[nodiscard]] const std::string& interpreter() const { return interpreter_; }  // PT_INTERP; empty: none
    // A shared object that is started itself and asks for no interpreter: a dynamic loader (or a static-pie).
    [[nodiscard]] bool may_be_dynamic_loader() const;

    [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }  // by address
    [[nodiscard]] const std::vector<Section>& sections() const { return sections_; }
    [[nodiscard]] const Section* section(std::string_view name) const;
    [[nodiscard]] const std::string& build_id() const { return build_id_; }
    [[nodiscard]] std::optional<std::uint64_t> unwind_header_address() const { return unwind_header_; }

    // The segment that holds an address; null if none does.
    [[nodiscard]] const Segment* segment_at(std::uint64_t address) const;
    // The file's bytes from an address to the end of its segment.
    [[nodiscard]] std::optional<ByteView> bytes_at(std::uint64_t address) const;
    // The bytes of [start, end) if they are executable and in one segment.
    [[nodiscard]] std::optional<ByteView> code(std::uint64_t start, std::uint64_t end) const;

   private:
    template <class Ehdr, class Phdr, class Shdr>
    Result<void> read_headers();
    template <class Ehdr, class Shdr>
    void read_sections(const Ehdr& header);
    void read_notes(ByteView notes);

    ByteView file_;
    CodeMode mode_ = CodeMode::bits64;
    bool wide_ = true;
    bool has_interpreter_ = false;
    std::string interpreter_;
    std::uint16_t type_ = 0;
    std::uint64_t entry_ = 0;
    std::vector<Segment> segments_;
    std::vector<Section> sections_;
    std::optional<std::uint64_t> unwind_header_;
    std::string build_id_;
};

}  // namespace cpulevel::cpuid
