// Reading tar archives as a stream: POSIX ustar with its prefix, pax extended headers (path, size), GNU long names and
// large numbers (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"). Nothing is
// unpacked: members come out as a name and bytes. An archive may be truncated, damaged or hostile: checksums are
// checked, sizes bounded, and an archive that ends without its two blocks of zeros is an error, because nodes could be
// missing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "intake/chunks.h"
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
    TarReader(ByteSource& source, std::string name, std::size_t chunk = ChunkedSource::kUsual)
        : source_(source, chunk), name_(std::move(name)) {}

    // The next regular file; folders, links and devices are passed over and counted. What was not read of the one
    // before is skipped. Nothing at the end. After an error the archive cannot be read any further.
    [[nodiscard]] Result<std::optional<TarMember>> next();
    // The content of the current member, whole, once; it stays where it is as long as chunk() is held. Who asks has
    // found its size acceptable.
    [[nodiscard]] Result<std::string_view> content();
    [[nodiscard]] const ChunkHandle& chunk() const { return source_.chunk(); }
    [[nodiscard]] std::size_t links_skipped() const { return links_; }

   private:
    struct Extended {
        std::optional<std::string> path;
        std::optional<std::uint64_t> size;
    };

    [[nodiscard]] std::unexpected<Error> damaged(std::string why) const;
    Result<std::string_view> take(std::size_t bytes);
    Result<void> skip(std::uint64_t bytes);
    Result<std::string> read_extension(std::uint64_t size);
    Result<void> read_pax(std::string_view records, Extended& extended) const;

    ChunkedSource source_;
    std::string name_;
    std::uint64_t at_ = 0;       // bytes read
    std::uint64_t content_ = 0;  // of the current member, not yet read
    std::uint64_t padding_ = 0;
    std::size_t links_ = 0;
    bool ended_ = false;
};

}  // namespace cpulevel::intake
