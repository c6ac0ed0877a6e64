// Makes every write of the BPF programs to a stack fail (1) or work again (0), as a kernel that cannot write a page would: what
// is counted, told and killed then is tested by it. bpf_break_writes 1|0
#include <cstdio>
#include <cstring>

#include "engine/bpf/pins.h"

int main(int count, char** words) {
    if (count != 2) return 2;
    const auto maps = cpulevel::engine::bpf::open_maps();
    if (!maps) {
        std::fprintf(stderr, "%s\n", maps.error().message().c_str());
        return 2;
    }
    cpulevel_config config{.layout = CPULEVEL_LAYOUT, .break_writes = std::strcmp(words[1], "1") == 0 ? 1U : 0U};
    return maps->config.set(0, config) ? 0 : 2;
}
