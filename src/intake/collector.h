// What the reading threads share, and what each has for itself. Internal to this room.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fleet/shape.h"
#include "fleet/types.h"
#include "intake/gather.h"

namespace cpulevel::intake {

// Where a description stands among all: the number of its source, and its place there.
using Place = std::uint64_t;

class Collector;

// One thread's part.
class Reader {
   public:
    explicit Reader(Collector& shared) : shared_(shared) {}
    void read_text(Place place, std::string_view text, const std::string& name);
    void read_node(Place place, profile::NodeProfile node);
    void fail(Place place, Error error);
    // The same where a source ends too early: the rest of it is missing, and an unknown number of nodes with it.
    void fail_rest(Place place, Error error);

   private:
    friend class Collector;
    struct Entry {
        Place place;
        std::uint32_t inner;  // among the nodes of one description
        std::uint32_t type;
        std::uint64_t name_at;  // in names_
        std::uint32_t name_length;
    };
    struct Known {
        fleet::Shape shape;
        std::uint32_t type;
    };
    void add(Place place, std::uint32_t inner, std::uint32_t type, std::string_view name);

    Collector& shared_;
    std::deque<Known> shapes_;  // the one that fitted last first
    std::vector<Entry> entries_;
    std::string names_;
    std::vector<std::pair<Place, Error>> faults_;
    std::size_t fault_count_ = 0;
    std::size_t cut_count_ = 0;
};

class Collector {
   public:
    explicit Collector(bool keep_going) : keep_going_(keep_going) {}
    [[nodiscard]] Reader& new_reader();
    // After all readers are done. `source_name`: what tells nodes of one name apart.
    [[nodiscard]] Result<Gathered> finish(const std::function<std::string(Place)>& source_name);
    // Nothing more needs to be read: something failed, and keep_going is not asked for.
    [[nodiscard]] bool stopped() const { return stop_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t done() const { return done_.load(std::memory_order_relaxed); }

   private:
    friend class Reader;
    std::uint32_t type_of(profile::NodeProfile&& node);

    bool keep_going_;
    std::atomic<bool> stop_{false};
    std::atomic<std::size_t> done_{0};
    std::mutex mutex_;
    std::unordered_map<std::string, std::uint32_t> by_key_;
    std::vector<profile::NodeProfile> types_;
    std::deque<Reader> readers_;
};

}  // namespace cpulevel::intake
