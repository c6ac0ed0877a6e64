#include "source_folder.h"

namespace cpulevel::test {

std::string source_folder() { return CPULEVEL_SOURCE_DIR; }

}  // namespace cpulevel::test
