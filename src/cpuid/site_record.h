// What was found out about a file (site_finder.h), as bytes to be kept beyond the life of a tree. Pure; hostile until read.
//
// What a reader can rely on. The record says of which file it is (FileIdentity), by which version of the finder it was made, and
// carries a checksum: a stale, foreign or damaged one is no record. The proof that nothing leads to the bytes that a patch
// moves needs the whole file, and is what keeping a record saves; so a record is believed only from where nobody but the
// user can have written it (engine/ptrace/site_store.h). What can be proved again from a patch alone is: its
// bytes are decoded, each instruction is one that may move, the operands are where they are said to be. And before anything is
// changed, memory must hold just these bytes, as for a fresh scan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cpuid/file_identity.h"
#include "cpuid/site_finder.h"
#include "util/error.h"

namespace cpulevel::cpuid {

// To be increased whenever find_sites() may answer otherwise, or the format changes.
inline constexpr std::uint32_t kSiteRecordVersion = 2;

[[nodiscard]] std::vector<std::byte> write_site_record(const FileIdentity& file, const SiteScan& scan);
// Of this file and version, or the reason why not. SiteScan::unpatched is not kept.
[[nodiscard]] Result<SiteScan> read_site_record(const FileIdentity& file, std::span<const std::byte> record);

}  // namespace cpulevel::cpuid
