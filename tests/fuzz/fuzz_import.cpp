// Foreign descriptions: by content, and forced through each importer (the first byte chooses). What comes out must be
// a profile that our own strict reader takes.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "profile/import.h"
#include "profile/profile_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace cpulevel::profile;
    if (size == 0) return 0;
    const auto formats = import_formats();
    const std::size_t choice = data[0];
    std::optional<std::string> from;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    // Printable first bytes of real files (and CRIU's magic words) go the ordinary way: the seeds need no preparation.
    if (choice < formats.size()) {
        from = std::string(formats[choice].name);
        text.remove_prefix(1);
    }
    const auto profiles = import_text(text, "fuzz", from);
    if (!profiles) {
        if (profiles.error().message().empty()) std::abort();
        return 0;
    }
    for (const NodeProfile& profile : *profiles) {
        if (!profile.features.is_subset_of(profile.known)) std::abort();
        const auto json = to_json(profile);
        const auto again = from_json(json, "fuzz");
        if (!again || to_json(*again) != json) std::abort();
    }
    return 0;
}
