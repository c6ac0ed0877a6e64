// Our own profiles: cpulevel/profile/N.
#include "profile/import/format.h"
#include "profile/profile_json.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

bool recognises(std::string_view text) { return trim(text.substr(0, 4096)).starts_with('{'); }
Result<NodeProfile> read(std::string_view text, const std::string& name) {
    auto profile = from_json(text, name);
    // Somebody has to be called when something is lost.
    if (profile && profile->name.empty()) profile->name = name.substr(name.rfind('/') + 1);
    return profile;
}

}  // namespace

extern const Format kOurJson{"json", "cpulevel's own profile", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
