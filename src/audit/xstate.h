// The XSAVE area in the standard format: which components hold something. Sources: Intel SDM vol. 1 chapter 13; Linux
// Documentation/arch/x86/xstate.rst, arch/x86/include/uapi/asm/sigcontext.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "audit/snapshot.h"
#include "profile/node_profile.h"

namespace cpulevel::audit {

inline constexpr std::uint64_t kLegacyComponents = 3;  // x87, SSE
inline constexpr unsigned kPkruComponent = 9, kTileConfiguration = 17, kTileData = 18;
inline constexpr std::uint64_t kAvxBit = 4, kPkruBit = 1U << kPkruComponent, kTileBits = 3ULL << kTileConfiguration;
inline constexpr std::size_t kLegacyRegion = 512, kXsaveHeader = 64;

// The kernel starts a program with every key but 0 closed (arch/x86/mm/pkeys.c, init_pkru_value); no page has such a key
// before the program asks for one.
inline constexpr std::uint32_t kInitialPkru = 0x55555554;
[[nodiscard]] constexpr bool restricts(std::uint32_t pkru) { return pkru != 0 && pkru != kInitialPkru; }

using Places = std::map<unsigned, profile::XsaveComponent>;  // by component number

// `area`: from its start, as much of it as was read. A component that stands beyond it, or of which the place is
// not known, is taken to be in use if the header says so.
[[nodiscard]] VectorState vector_state_of(std::span<const std::byte> area, const Places* places);

// Where the components of a signal frame stand: a frame does not say, but its size tells, because the places of all that
// have been built so far end at different bytes. `own` (the machine's where it was found) is tried first. Empty: not
// known.
[[nodiscard]] Places places_in_frame(std::uint64_t described, std::uint32_t size, const profile::XsaveLayout* own);

// "AVX (upper halves of YMM)", "AVX-512, PKRU"
[[nodiscard]] std::string components_text(std::uint64_t components);

}  // namespace cpulevel::audit
