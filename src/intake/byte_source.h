// Where bytes come from, read once from the beginning to the end: a descriptor, gzip in another source, memory (tests).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::intake {

class ByteSource {
   public:
    ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;
    virtual ~ByteSource() = default;
    // At least one byte, or 0 at the end.
    [[nodiscard]] virtual Result<std::size_t> read(std::span<char> into) = 0;
};

// `fd` is not closed if `owned` is not given. `name` is how messages call it.
[[nodiscard]] std::unique_ptr<ByteSource> from_descriptor(int fd, std::string name, Fd owned = {});
[[nodiscard]] std::unique_ptr<ByteSource> from_memory(std::string_view text);
// RFC 1952; several members after each other are one stream. Damage and an early end are errors.
[[nodiscard]] std::unique_ptr<ByteSource> from_gzip(std::unique_ptr<ByteSource> packed, std::string name);

// A source whose first bytes can be looked at before they are read.
class PeekedSource : public ByteSource {
   public:
    explicit PeekedSource(std::unique_ptr<ByteSource> rest) : rest_(std::move(rest)) {}
    // The first `most` bytes, or all where there are fewer; an error behind them comes when they have been read. Before
    // the first read only.
    [[nodiscard]] Result<std::string_view> peek(std::size_t most);
    [[nodiscard]] Result<std::size_t> read(std::span<char> into) override;

   private:
    std::unique_ptr<ByteSource> rest_;
    std::string first_;
    std::optional<Error> behind_;  // what came in place of more
    std::size_t given_ = 0;
};

// All that is left, at most `limit` bytes; more is an error.
[[nodiscard]] Result<std::string> read_all(ByteSource& source, const std::string& name, std::size_t limit);

}  // namespace cpulevel::intake
