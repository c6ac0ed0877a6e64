#include "audit/xstate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "util/text.h"

namespace cpulevel::audit {
namespace {

template <class T>
T number_at(std::span<const std::byte> bytes, std::size_t offset) {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

// CPUID leaf 0xD of Intel's processors from Sandy Bridge to Sapphire Rapids, and of AMD's since Zen 4; without AMX, whose
// tile data a frame has only after a permission, and which both standard formats keep at its end.
const Places& intel_places() {
    static const Places places{{2, {.size = 256, .offset = 576}},  {3, {.size = 64, .offset = 960}},   {4, {.size = 64, .offset = 1024}},
                               {5, {.size = 64, .offset = 1088}},  {6, {.size = 512, .offset = 1152}}, {7, {.size = 1024, .offset = 1664}},
                               {9, {.size = 8, .offset = 2688}},   {17, {.size = 64, .offset = 2752}}, {18, {.size = 8192, .offset = 2816}}};
    return places;
}
const Places& amd_places() {
    static const Places places{{2, {.size = 256, .offset = 576}},  {5, {.size = 64, .offset = 832}}, {6, {.size = 512, .offset = 896}},
                               {7, {.size = 1024, .offset = 1408}}, {9, {.size = 8, .offset = 2432}}};
    return places;
}

bool ends_at(std::uint64_t described, std::uint32_t size, const Places& places) {
    std::uint32_t end = kLegacyRegion + kXsaveHeader;
    for (unsigned number = 2; number < 63; ++number) {
        if (((described >> number) & 1U) == 0) continue;
        const auto at = places.find(number);
        if (at == places.end() || at->second.offset == 0) return false;
        end = std::max(end, at->second.offset + at->second.size);
    }
    return end == size;
}

}  // namespace

Places places_in_frame(std::uint64_t described, std::uint32_t size, const profile::XsaveLayout* own) {
    if (own != nullptr && ends_at(described, size, own->components)) return own->components;
    for (const Places* places : {&intel_places(), &amd_places()}) {
        if (ends_at(described, size, *places)) return *places;
    }
    return {};
}

VectorState vector_state_of(std::span<const std::byte> area, const Places* places) {
    VectorState state;
    if (area.size() < kLegacyRegion + kXsaveHeader) {
        state.header = state.in_use = kLegacyComponents;
        return state;
    }
    state.header = number_at<std::uint64_t>(area, kLegacyRegion);
    state.in_use = state.header & kLegacyComponents;
    for (unsigned number = 2; number < 63; ++number) {
        const std::uint64_t bit = std::uint64_t{1} << number;
        if ((state.header & bit) == 0) continue;
        const profile::XsaveComponent* component = nullptr;
        if (places != nullptr) {
            const auto at = places->find(number);
            if (at != places->end() && at->second.offset >= kLegacyRegion + kXsaveHeader) component = &at->second;
        }
        if (component == nullptr || component->size > area.size() || component->offset > area.size() - component->size) {
            state.in_use |= bit;
            continue;
        }
        const auto content = area.subspan(component->offset, component->size);
        if (number == kPkruComponent && content.size() >= sizeof(std::uint32_t)) {
            state.pkru = number_at<std::uint32_t>(content, 0);
            if (restricts(*state.pkru)) state.in_use |= bit;
        } else if (std::ranges::any_of(content, [](std::byte b) { return b != std::byte{0}; })) {
            state.in_use |= bit;
        }
    }
    return state;
}

std::string components_text(std::uint64_t components) {
    struct Group {
        std::uint64_t bits;
        std::string_view name;
    };
    static constexpr std::array<Group, 9> kGroups{{{1, "x87"},
                                                   {2, "SSE"},
                                                   {kAvxBit, "AVX (upper halves of YMM)"},
                                                   {3U << 3U, "MPX"},
                                                   {7U << 5U, "AVX-512"},
                                                   {kPkruBit, "PKRU"},
                                                   {3U << 11U, "shadow stack"},
                                                   {kTileBits, "AMX tiles"},
                                                   {std::uint64_t{1} << 19U, "APX registers"}}};
    std::vector<std::string> names;
    for (const Group& group : kGroups) {
        if ((components & group.bits) == 0) continue;
        names.emplace_back(group.name);
        components &= ~group.bits;
    }
    for (unsigned number = 0; number < 64; ++number) {
        if (((components >> number) & 1U) != 0) names.push_back(fmt::format("XSAVE component {}", number));
    }
    return join(names, ", ");
}

}  // namespace cpulevel::audit
