// Where the kernel side is pinned, and its maps as typed values. Pins are what keeps it alive: no process has to.
//
//   /sys/fs/bpf/cpulevel/maps/NAME    scopes, trees, members, images, counters, failures, config
//   /sys/fs/bpf/cpulevel/links/NAME   one for each program that is attached to its event
//
// The folder is made under another name and renamed when everything in it works, so it is there whole or not at all.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/bpf/layout.h"
#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::engine::bpf {

inline constexpr const char* kBpffs = "/sys/fs/bpf";
inline constexpr const char* kPinned = "/sys/fs/bpf/cpulevel";
// (No dots: bpffs reserves names with them.)
inline constexpr const char* kUnfinished = "/sys/fs/bpf/cpulevel-unfinished";

[[nodiscard]] Result<void> require_bpffs();
// Held by attach and detach: one at a time on a machine.
[[nodiscard]] Result<Fd> lock();
[[nodiscard]] bool is_installed();
// Removes a folder of pins, whatever version made it; the programs go with their last pin.
[[nodiscard]] Result<void> remove_pins(const std::string& folder);

// The calls on map descriptors; a Map knows the types.
namespace raw {
[[nodiscard]] int open_map(const std::string& path);  // errno on failure: -1
[[nodiscard]] bool lookup(int map, const void* key, void* value);
[[nodiscard]] bool update(int map, const void* key, const void* value);
[[nodiscard]] bool remove(int map, const void* key);
[[nodiscard]] bool next_key(int map, const void* key, void* next);
}  // namespace raw

template <class Key, class Value>
class Map {
   public:
    explicit Map(Fd fd) : fd_(std::move(fd)) {}

    [[nodiscard]] bool get(const Key& key, Value& value) const { return raw::lookup(fd_.get(), &key, &value); }
    [[nodiscard]] bool set(const Key& key, const Value& value) const { return raw::update(fd_.get(), &key, &value); }
    [[nodiscard]] bool erase(const Key& key) const { return raw::remove(fd_.get(), &key); }
    // All entries that were there all the time; the map may change meanwhile.
    [[nodiscard]] std::vector<std::pair<Key, Value>> entries() const {
        std::vector<Key> keys;
        Key key{};
        for (bool more = raw::next_key(fd_.get(), nullptr, &key); more;) {
            keys.push_back(key);
            Key next{};
            more = raw::next_key(fd_.get(), &key, &next);
            key = next;
        }
        std::vector<std::pair<Key, Value>> found;
        for (const Key& each : keys) {
            Value value{};
            if (get(each, value)) found.emplace_back(each, value);
        }
        return found;
    }

   private:
    Fd fd_;
};

struct Maps {
    Map<__u64, cpulevel_scope> scopes, trees;
    Map<__u32, __u64> members;
    Map<__u32, __u64> counters;
    Map<__u32, cpulevel_failure> failures;
    Map<__u32, cpulevel_config> config;
};

// Of what is installed. An error where another version of cpulevel installed it.
[[nodiscard]] Result<Maps> open_maps();

}  // namespace cpulevel::engine::bpf
