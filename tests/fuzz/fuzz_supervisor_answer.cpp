// A supervisor's answer comes from another process: an error, or a report that is written as it was read.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/ptrace/answers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel::engine::ptrace;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (const auto report = parse_release_answer(text); report && !parse_release_answer(answer_text(*report))) std::abort();
    if (const auto report = parse_adopt_answer(text); report && !parse_adopt_answer(answer_text(*report))) std::abort();
    return 0;
}
