#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/output.h"

int main(int argc, char** argv) {
    cpulevel::cli::reserve_standard_descriptors();
    return cpulevel::cli::main_with(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
