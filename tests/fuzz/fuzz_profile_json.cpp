// Our own profiles, from anybody: an error, or a profile that we write and read back the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "profile/profile_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel::profile;
    const auto profile = from_json({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (!profile) {
        if (profile.error().message().empty()) std::abort();
        return 0;
    }
    if (!profile->features.is_subset_of(profile->known)) std::abort();
    const auto text = to_json(*profile);
    const auto again = from_json(text, "fuzz");
    if (!again || to_json(*again) != text) std::abort();
    return 0;
}
