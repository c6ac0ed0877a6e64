// AuxVector::parse() on any bytes: no crash, and what it accepts means the same after writing and reading again.
// The first byte chooses the word size.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "inherit/aux_vector.h"

using cpulevel::inherit::AuxVector;
using cpulevel::inherit::WordSize;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const WordSize word_size = (data[0] & 1U) != 0 ? WordSize::bits32 : WordSize::bits64;
    const auto blob = std::as_bytes(std::span(data, size).subspan(1));
    const auto vector = AuxVector::parse(blob, word_size);
    if (!vector) {
        require(!vector.error().message().empty());
        return 0;
    }
    for (const auto& entry : vector->entries()) {
        require(entry.type != cpulevel::inherit::kAtNull);
        require(vector->find(entry.type).has_value());
    }
    const auto again = AuxVector::parse(vector->serialize(), word_size);
    require(again && *again == *vector);
    return 0;
}
