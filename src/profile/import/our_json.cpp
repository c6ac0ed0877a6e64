// Our own profiles: cpulevel/profile/N.
#include "profile/import/format.h"
#include "profile/profile_json.h"
#include "util/text.h"

namespace cpulevel::profile::import {

// JSON of any kind comes here: the strict reader says best what is wrong with it.
extern const Format kOurJson{"json", "cpulevel's own profile", [](std::string_view text) {
                                 return trim(text.substr(0, 4096)).starts_with('{');
                             },
                             [](std::string_view text, const std::string& name) { return from_json(text, name); }};

}  // namespace cpulevel::profile::import
