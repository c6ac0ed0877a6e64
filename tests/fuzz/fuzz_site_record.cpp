// read_site_record() on any bytes: no crash, and what it accepts means the same after writing and reading again. The checksum is
// set right first, or nothing would get past it.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "cpuid/site_record.h"

namespace {

constexpr std::size_t kChecksumAt = 8, kBodyAt = 16, kIdentityAt = 20;

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> record(size);
    if (size != 0) std::memcpy(record.data(), data, size);
    cpulevel::cpuid::FileIdentity file;
    if (size >= kIdentityAt + 40) {
        std::uint64_t hash = 0xcbf29ce484222325;
        for (std::size_t at = kBodyAt; at < size; ++at) hash = (hash ^ data[at]) * 0x100000001b3;
        std::memcpy(record.data() + kChecksumAt, &hash, sizeof hash);
        std::memcpy(&file.device, data + kIdentityAt, 8);
        std::memcpy(&file.inode, data + kIdentityAt + 8, 8);
        std::memcpy(&file.size, data + kIdentityAt + 16, 8);
        std::memcpy(&file.seconds, data + kIdentityAt + 24, 8);
        std::memcpy(&file.nanoseconds, data + kIdentityAt + 32, 8);
    }
    const auto scan = cpulevel::cpuid::read_site_record(file, record);
    if (!scan) {
        require(!scan.error().message().empty());
        return 0;
    }
    require(cpulevel::cpuid::write_site_record(file, *scan) == record);
    return 0;
}
