// Reading tar archives as a stream: POSIX ustar with its prefix, pax extended headers (path, size), GNU long names and
// large numbers (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"). Nothing is unpacked:
// members come out as a name and bytes. An archive may be truncated, damaged or hostile: checksums are checked, sizes
// bounded, and an archive that ends without its two blocks of zeros is an error, because nodes could be missing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "intake/byte_source.h"
#include "util/error.h"

namespace cpulevel::intake {

// Does it begin with the header of a tar archive? 512 bytes are enough.
[[nodiscard]] bool looks_like_tar(std::string_view first);

struct TarMember {
    std::string name;
    std::uint64_t size = 0;
};

class TarReader {
   public:
    // `name` is how messages call the archive.
    TarReader(ByteSource& source, std::string name) : source_(source), name_(std::move(name)) {}

    // The next regular file; folders, links and devices are passed over and counted. What was not read of the one
    // before is skipped. Nothing at the end. After an error the archive cannot be read any further.
    [[nodiscard]] Result<std::optional<TarMember>> next();
    // The content of the current member, appended to `into`.
    [[nodiscard]] Result<void> read_content(std::string& into);
    [[nodiscard]] std::size_t links_skipped() const { return links_; }

   private:
    using Block = std::array<char, 512>;
    struct Extended {
        std::optional<std::string> path;
        std::optional<std::uint64_t> size;
    };
    enum class Got : std::uint8_t { block, end };

    [[nodiscard]] std::unexpected<Error> damaged(std::string why) const;
    Result<Got> read_block(Block& block, bool end_allowed);
    Result<void> skip(std::uint64_t bytes);
    Result<std::string> read_extension(std::uint64_t size);
    Result<void> read_pax(std::string_view records, Extended& extended) const;

    ByteSource& source_;
    std::string name_;
    std::uint64_t at_ = 0;       // bytes read
    std::uint64_t content_ = 0;  // of the current member, not yet read
    std::uint64_t padding_ = 0;
    std::size_t links_ = 0;
    bool ended_ = false;
};

}  // namespace cpulevel::intake
