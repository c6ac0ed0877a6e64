// A stream in large pieces of memory, which are used again. Descriptions stay where they were read to: other threads
// look at them there, and nothing is copied but what a piece's end cuts in two. (Copying, and the kernel's work for
// ever new memory, took most of the time of reading a tar archive.)
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "intake/byte_source.h"
#include "util/error.h"

namespace cpulevel::intake {

// Memory that goes back to where it came from when the last one lets go of it. From any thread.
class Chunk;
using ChunkHandle = std::shared_ptr<Chunk>;

class ChunkedSource {
   public:
    static constexpr std::size_t kUsual = std::size_t{1} << 20U;  // bytes of a chunk

    explicit ChunkedSource(ByteSource& source, std::size_t usual = kUsual);

    // What was read and not yet passed; valid as long as chunk() of now is held.
    [[nodiscard]] std::string_view unread() const { return unread_; }
    [[nodiscard]] const ChunkHandle& chunk() const { return chunk_; }
    void pass(std::size_t bytes) { unread_.remove_prefix(bytes); }
    // Makes unread() longer, by one read; false where the stream has ended. `wanted`: how long it is to become, so that
    // there is room for it. What is unread may lie in another chunk then.
    [[nodiscard]] Result<bool> more(std::size_t wanted = 0);

   private:
    class Pool;
    ByteSource& source_;
    std::shared_ptr<Pool> pool_;
    ChunkHandle chunk_;
    std::string_view unread_;
};

}  // namespace cpulevel::intake
