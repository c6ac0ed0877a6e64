// Instructions that a program is to run for us, put together byte by byte; at most kMost of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>

namespace cpulevel::engine::ptrace {

template <std::size_t kMost>
class CodeBytes {
   public:
    void append(std::initializer_list<unsigned> bytes) {
        for (const unsigned byte : bytes) bytes_.at(size_++) = static_cast<std::byte>(byte);
    }
    void append_number(std::uint64_t number, unsigned bytes) {  // little endian
        for (; bytes != 0; --bytes, number >>= 8U) append({static_cast<unsigned>(number & 0xffU)});
    }
    void replace(std::size_t at, std::uint32_t number) { std::memcpy(&bytes_.at(at), &number, sizeof number); }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return std::span(bytes_).first(size_); }

   private:
    std::array<std::byte, kMost> bytes_{};
    std::size_t size_ = 0;
};

}  // namespace cpulevel::engine::ptrace
