#include "engine/ptrace/new_program.h"

#include <cstring>

namespace cpulevel::engine::ptrace {

namespace {

constexpr std::size_t kFirstRead = 4096;        // enough for most programs: pointers and vector
constexpr std::size_t kMostRead = 8U << 20U;    // more than argv and envp pointers can take (ARG_MAX is 2 MiB of strings)

std::uint64_t word_at(std::span<const std::byte> bytes, std::size_t offset, std::size_t word) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + offset, word);  // little endian, as every machine that this engine runs on
    return value;
}

// The offset behind the next zero word from `offset` on, or nothing when the bytes end first.
std::optional<std::size_t> skip_list(std::span<const std::byte> bytes, std::size_t offset, std::size_t word) {
    for (; offset + word <= bytes.size(); offset += word) {
        if (word_at(bytes, offset, word) == 0) return offset + word;
    }
    return std::nullopt;
}

// [begin, end) of the auxiliary vector within the bytes read, or nothing when they end before AT_NULL.
std::optional<std::pair<std::size_t, std::size_t>> find_vector(std::span<const std::byte> bytes, std::size_t word) {
    if (bytes.size() < word) return std::nullopt;
    const std::uint64_t argc = word_at(bytes, 0, word);
    if (argc > kMostRead) return std::nullopt;
    const std::size_t arguments_end = word * (1 + argc);
    const auto environment = skip_list(bytes, arguments_end, word);
    if (!environment || *environment != arguments_end + word) return std::nullopt;  // argv[argc] is NULL
    const auto begin = skip_list(bytes, *environment, word);
    if (!begin) return std::nullopt;
    for (std::size_t at = *begin; at + 2 * word <= bytes.size(); at += 2 * word) {
        if (word_at(bytes, at, word) == inherit::kAtNull) return std::pair{*begin, at + 2 * word};
    }
    return std::nullopt;
}

}  // namespace

std::optional<StackVector> read_stack_vector(pid_t pid, RemoteAddress stack, inherit::WordSize size) {
    const auto word = static_cast<std::size_t>(size);
    std::vector<std::byte> bytes;
    for (std::size_t want = kFirstRead; want <= kMostRead; want *= 8) {
        bytes.resize(want);
        const std::size_t got = read_memory(pid, stack, bytes);
        if (got == 0) return std::nullopt;
        const auto place = find_vector(std::span(bytes).first(got), word);
        if (place) {
            StackVector result;
            result.at = stack + place->first;
            result.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(place->first),
                                bytes.begin() + static_cast<std::ptrdiff_t>(place->second));
            auto vector = inherit::AuxVector::parse(result.bytes, size);
            if (!vector) return std::nullopt;
            result.vector = std::move(*vector);
            return result;
        }
        if (got < want) return std::nullopt;  // that was the whole stack
    }
    return std::nullopt;
}

bool set_entry(std::vector<std::byte>& bytes, inherit::WordSize size, std::uint64_t type, std::uint64_t value) {
    const auto word = static_cast<std::size_t>(size);
    for (std::size_t at = 0; at + 2 * word <= bytes.size(); at += 2 * word) {
        if (word_at(bytes, at, word) != type) continue;
        std::memcpy(bytes.data() + at + word, &value, word);
        return true;
    }
    return false;
}

}  // namespace cpulevel::engine::ptrace
