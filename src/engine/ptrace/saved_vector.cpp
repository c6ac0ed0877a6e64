#include "engine/ptrace/saved_vector.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <span>

#include "engine/ptrace/task.h"

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::size_t kMostBytes = 1024;  // AT_VECTOR_SIZE is some 50 words
constexpr int kMostReads = 8;

struct Blob {
    std::array<std::byte, kMostBytes> bytes{};
    std::size_t size = 0;
    friend bool operator==(const Blob&, const Blob&) = default;
};

Blob read_once(int fd) {
    Blob blob;
    const ssize_t got = ::pread(fd, blob.bytes.data(), blob.bytes.size(), 0);
    if (got > 0) blob.size = static_cast<std::size_t>(got);
    return blob;
}

}  // namespace

inherit::HwcapWords words_of(const inherit::AuxVector& vector) {
    inherit::HwcapWords words;
    for (std::size_t word = 0; word < words.size(); ++word) words[word] = vector.find(inherit::kHwcapTypes[word]);
    return words;
}

Result<std::shared_ptr<const SavedVector>> SavedVector::open(pid_t pid, inherit::WordSize size) {
    const std::string path = fmt::format("/proc/{}/auxv", pid);
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return system_error(ErrorKind::machine, "cannot open", path);
    return std::shared_ptr<const SavedVector>(new SavedVector(std::move(file), size));
}

bool SavedVector::has(const inherit::HwcapWords& words) const {
    const Blob blob = read_once(file_.get());
    if (blob.size == 0) return false;
    const auto vector = inherit::AuxVector::parse(std::span(blob.bytes).first(blob.size), size_);
    return vector && words_of(*vector) == words;
}

std::optional<inherit::AuxVector> SavedVector::read() const {
    // The kernel copies a new vector without a lock that readers take: a task that shares the image may be at it.
    Blob blob = read_once(file_.get());
    for (int i = 0; i < kMostReads; ++i) {
        const Blob again = read_once(file_.get());
        if (again == blob) break;
        blob = again;
    }
    if (blob.size == 0) return std::nullopt;
    auto vector = inherit::AuxVector::parse(std::span(blob.bytes).first(blob.size), size_);
    if (!vector) return std::nullopt;
    return std::move(*vector);
}

void remember_vector(AddressSpace& space) {
    if (!space.saved) return;
    if (const auto vector = space.saved->read()) space.known_words = words_of(*vector);
}

void take_marks(AddressSpace& space) {
    if (!space.saved || space.saved->has(space.known_words)) return;
    const auto vector = space.saved->read();
    if (!vector) return;
    const inherit::HwcapWords words = words_of(*vector);
    if (words == space.known_words) return;
    space.known_words = words;
    space.marks = inherit::after_prctl(space.marks, space.abi, *vector);
}

}  // namespace cpulevel::engine::ptrace
