// What the scripts that one CRIU process calls, one after the other, have to know of each other: what was let go before
// the dump, which images are restored (CRIU has closed their folder when it calls the last script). CRIU's environment
// carries nothing from one to the next.
//
// A process that outlives the script (guard.h) or called CRIU (`cpulevel dump`) holds the text in a file that exists in
// memory only, named after the CRIU process; the next script finds it among the descriptors of its own user's
// processes. As with the records of trees (decision 008) there is no folder to defend, and nothing that outlives its
// process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::checkpoint {

// The note lives as long as the descriptor.
[[nodiscard]] Result<Fd> publish_note(pid_t criu, std::string_view text);

struct Note {
    pid_t holder = 0;
    std::string text;
};
[[nodiscard]] Result<std::optional<Note>> find_note(pid_t criu);

}  // namespace cpulevel::checkpoint
