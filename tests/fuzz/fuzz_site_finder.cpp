// find_sites() on hostile ELF files: no crash, no hang, and every place that it names holds the bytes that it
// claims, since the engine overwrites them.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "cpuid/instruction.h"
#include "cpuid/site_finder.h"

using cpulevel::cpuid::Site;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto file = std::as_bytes(std::span(data, size));
    const auto scan = cpulevel::cpuid::find_sites(file);
    if (!scan) {
        require(!scan.error().message().empty());
        return 0;
    }
    const Site* before = nullptr;
    for (const auto* list : {&scan->sites, &scan->undecided}) {
        before = nullptr;
        for (const Site& site : *list) {
            require(site.file_offset < size && size - site.file_offset >= 2);
            require(file[site.file_offset] == std::byte{0x0F} && file[site.file_offset + 1] == std::byte{0xA2});
            require(before == nullptr || before->address < site.address);
            before = &site;
        }
    }
    for (const Site& call : scan->mmap_calls) {
        require(call.file_offset < size && size - call.file_offset >= 2);
    }
    if (const auto cpuid = cpulevel::cpuid::recognise_cpuid(file)) {
        require(cpuid->length == cpuid->opcode_offset + 2 && cpuid->length <= 15 && cpuid->length <= size);
    }
    return 0;
}
