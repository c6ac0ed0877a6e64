// The threads that read descriptions, and the queue of what waits for them. Internal to this room.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "intake/chunks.h"
#include "intake/collector.h"

namespace cpulevel::intake {

// Work for a thread: files to read, or texts that were read already and lie in a chunk.
struct Batch {
    struct Text {
        Place place;
        std::string_view text;
        std::string name;
    };
    ChunkHandle chunk;
    std::vector<Text> texts;
    std::vector<std::pair<Place, const std::string*>> files;
};

// A queue of batches with a bound, and the threads that empty it.
class ReadingThreads {
   public:
    ReadingThreads(Collector& collector, std::size_t count);
    ReadingThreads(const ReadingThreads&) = delete;
    ReadingThreads& operator=(const ReadingThreads&) = delete;
    ~ReadingThreads() {
        finish([] {});
    }

    // Waits while enough is waiting; `meanwhile` is called at most ten times a second.
    void push(Batch batch, const std::function<void()>& meanwhile);
    void finish(const std::function<void()>& meanwhile);

   private:
    void wait(std::unique_lock<std::mutex>& lock, const std::function<void()>& meanwhile);
    void work(Reader& reader);

    Collector& collector_;
    std::mutex mutex_;
    std::condition_variable filled_, emptied_;
    std::deque<Batch> waiting_;
    bool ended_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cpulevel::intake
