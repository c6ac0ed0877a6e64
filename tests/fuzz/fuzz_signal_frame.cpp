// A stack and code as a hostile process may have them: the search ends, claims no frame outside of the stack, and reads the
// vector state without a crash. The first byte chooses the kind of program.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "audit/shown.h"
#include "audit/signal_frame.h"

using namespace cpulevel;

namespace {

constexpr std::uint64_t kStart = 0x10000;

class Bytes : public audit::Memory {
   public:
    explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
    [[nodiscard]] std::size_t read(std::uint64_t address, std::span<std::byte> into) const override {
        if (address < kStart || address - kStart >= bytes_.size()) return 0;
        const auto part = bytes_.subspan(static_cast<std::size_t>(address - kStart));
        const std::size_t size = std::min(part.size(), into.size());
        std::memcpy(into.data(), part.data(), size);
        return size;
    }

   private:
    std::span<const std::byte> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
    audit::Snapshot process;
    process.memory = std::make_unique<Bytes>(bytes);
    process.from_images = (data[0] & 4U) != 0;
    if ((data[0] & 1U) != 0) process.architecture = arch::Architecture::aarch64;
    process.mappings = {{kStart, kStart + bytes.size(), true, true, true, {}}};
    audit::Thread thread;
    thread.is_32bit = (data[0] & 2U) != 0;
    thread.stack_pointer = kStart;
    thread.blocked_signals = data[0];
    for (const audit::SignalFrame& frame : audit::find_signal_frames(process, thread).frames) {
        if (frame.address < kStart || frame.address >= kStart + bytes.size() || frame.signal < 0 || frame.signal > 64) std::abort();
    }
    static_cast<void>(audit::find_glibc_record(bytes));
    return 0;
}
