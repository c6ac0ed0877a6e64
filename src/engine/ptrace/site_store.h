// Site records (cpuid/site_record.h) kept on disk, by option: the first exec of a file in a new tree then decodes nothing.
//
// The folder is the user's alone: owned by the effective user, nobody else may even look, not reached by a symbolic link in its
// last step. So are the files in it; each is a regular file with one name. Whatever else is there is ignored. Records are
// written to a temporary name and renamed. A record can be deleted at any time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cpuid/site_record.h"
#include "util/error.h"
#include "util/fd.h"

namespace cpulevel::engine::ptrace {

class SiteStore {
   public:
    // Where records go if the user names no folder: $XDG_CACHE_HOME/cpulevel/sites, or ~/.cache/cpulevel/sites.
    [[nodiscard]] static Result<std::string> default_folder();
    // Makes the folder (and those above it) where it is missing.
    [[nodiscard]] static Result<SiteStore> open(const std::string& folder);

    [[nodiscard]] std::optional<std::vector<std::byte>> load(const cpuid::FileIdentity& file) const;
    // Fails without a word: a record that is not there is made again.
    void save(const cpuid::FileIdentity& file, std::span<const std::byte> record) const;

   private:
    explicit SiteStore(Fd folder) : folder_(std::move(folder)) {}
    Fd folder_;
};

}  // namespace cpulevel::engine::ptrace
