// InstLatx64 (http://instlatx64.atw.hu) dumps, also made by AIDA64.
#include "profile/import/register_dump.h"

namespace cpulevel::profile::import {
namespace {

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    return read_register_dump(text, name, "InstLatx64");
}

}  // namespace

extern const Format kInstLatx64{"instlatx64", "InstLatx64 or AIDA64 CPUID dump", has_register_dump, one_node<read>};

}  // namespace cpulevel::profile::import
