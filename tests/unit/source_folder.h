// Where the source tree is: for tests that read its data and fixtures.
#pragma once

#include <string>

namespace cpulevel::test {

// Without a slash at its end. In a function, in a file of its own, because the path is on that file's command line: what a
// compiler cache has of all others serves every checkout.
[[nodiscard]] std::string source_folder();

}  // namespace cpulevel::test
