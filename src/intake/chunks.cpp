#include "intake/chunks.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

namespace cpulevel::intake {

// Not initialised: a read fills it.
class Chunk {
   public:
    explicit Chunk(std::size_t size) : bytes_(std::make_unique_for_overwrite<char[]>(size)), size_(size) {}
    [[nodiscard]] char* data() { return bytes_.get(); }
    [[nodiscard]] std::size_t size() const { return size_; }

   private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_;
};

class ChunkedSource::Pool {
   public:
    explicit Pool(std::size_t usual) : usual_(usual) {}

    // Readers may outlive the source, and the pool lives as long as one of them holds a chunk.
    static ChunkHandle take(const std::shared_ptr<Pool>& pool, std::size_t size) {
        std::unique_ptr<Chunk> chunk;
        if (size <= pool->usual_) {
            const std::lock_guard lock(pool->mutex_);
            if (!pool->free_.empty()) {
                chunk = std::move(pool->free_.back());
                pool->free_.pop_back();
            }
        }
        if (!chunk) chunk = std::make_unique<Chunk>(std::max(size, pool->usual_));
        return {chunk.release(), [pool](Chunk* used) { pool->give_back(std::unique_ptr<Chunk>(used)); }};
    }

   private:
    void give_back(std::unique_ptr<Chunk> chunk) {
        if (chunk->size() != usual_) return;  // for one large description; not worth keeping
        const std::lock_guard lock(mutex_);
        free_.push_back(std::move(chunk));
    }

    std::size_t usual_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Chunk>> free_;
};

ChunkedSource::ChunkedSource(ByteSource& source, std::size_t usual)
    : source_(source), pool_(std::make_shared<Pool>(usual)) {}

Result<bool> ChunkedSource::more(std::size_t wanted) {
    wanted = std::max(wanted, unread_.size() + 1);
    const auto room = [&] { return static_cast<std::size_t>(chunk_->data() + chunk_->size() - unread_.data()); };
    if (!chunk_ || room() < wanted) {
        // A quarter of a chunk to spare, or what little comes of each read would be moved again and again.
        ChunkHandle next = Pool::take(pool_, wanted + wanted / 4);
        if (!unread_.empty()) std::memcpy(next->data(), unread_.data(), unread_.size());
        unread_ = {next->data(), unread_.size()};
        chunk_ = std::move(next);
    }
    char* const end = chunk_->data() + (unread_.data() - chunk_->data()) + unread_.size();
    const auto got = source_.read({end, room() - unread_.size()});
    if (!got) return std::unexpected(got.error());
    unread_ = {unread_.data(), unread_.size() + *got};
    return *got > 0;
}

}  // namespace cpulevel::intake
