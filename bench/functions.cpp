// The library's own cost, without processes: what `baseline` does for a fleet, and what the supervisor does for a
// CPUID.
#include <benchmark/benchmark.h>

#if defined(__x86_64__)
#include <sys/mman.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "cpuid/flat_table.h"
#include "cpuid/site_finder.h"
#include "cpuid/stub_area.h"
#include "cpuid/virtual_cpuid.h"
#include "level/expression.h"
#include "level/meet.h"
#include "profile/probe.h"
#include "profile/profile_json.h"
#include "util/file.h"

namespace cpulevel {
namespace {

template <class T>
T value_or_die(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "bench: %s\n", result.error().message().c_str());
        std::exit(3);
    }
    return std::move(*result);
}

const profile::NodeProfile& this_node() {
    static const profile::NodeProfile node = value_or_die(profile::probe_this_machine());
    return node;
}

// A fleet of machines that each lack another feature of this one.
std::vector<profile::NodeProfile> fleet(std::size_t count) {
    std::vector<profile::NodeProfile> nodes(count, this_node());
    std::vector<arch::FeatureId> features;
    this_node().features.for_each([&](arch::FeatureId id) { features.push_back(id); });
    for (std::size_t i = 0; i < count; ++i) {
        nodes[i].name = "node" + std::to_string(i);
        if (!features.empty()) nodes[i].features.erase(features[i % features.size()]);
    }
    return nodes;
}

void meet_of_profiles(benchmark::State& state) {
    const auto nodes = fleet(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(level::meet(nodes));
    state.SetComplexityN(state.range(0));
}
BENCHMARK(meet_of_profiles)->RangeMultiplier(4)->Range(2, 512)->Complexity();

void closure(benchmark::State& state) {
    const arch::FeatureTable& table = arch::table(arch::Architecture::x86_64);
    arch::FeatureSet set = table.all();
    if (const auto base = table.find("sse2")) set.erase(*base);  // nearly everything follows
    for (auto _ : state) benchmark::DoNotOptimize(table.closed_subset(set));
}
BENCHMARK(closure);

void read_profile(benchmark::State& state) {
    const std::string text = profile::to_json(this_node());
    for (auto _ : state) benchmark::DoNotOptimize(profile::from_json(text, "node"));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(read_profile);

#if defined(__x86_64__)
void virtual_cpuid_answer(benchmark::State& state) {
    const auto host = value_or_die(profile::dump_cpuid_here());
    const auto level = value_or_die(level::parse_level("x86-64-v2", arch::Architecture::x86_64));
    const auto table = cpuid::VirtualCpuid::build(level, host);
    const cpuid::RealCpuid real = [](std::uint32_t, std::uint32_t) { return arch::CpuidRegisters{}; };
    const auto leaf = static_cast<std::uint32_t>(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(table.answer(leaf, 0, real));
}
BENCHMARK(virtual_cpuid_answer)->Arg(0)->Arg(1)->Arg(7)->Arg(0x40000000)->Arg(0x80000001);

// What a program of a hundred megabytes costs when it is started for the first time.
void find_sites_of_a_large_program(benchmark::State& state) {
    constexpr std::size_t kLargest = std::size_t{1} << 30U;
    const auto file = read_file("/usr/bin/node", kLargest);
    if (!file) {
        state.SkipWithError("no /usr/bin/node here");
        return;
    }
    for (auto _ : state) benchmark::DoNotOptimize(cpuid::find_sites(std::as_bytes(std::span(*file))));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(file->size()));
}
BENCHMARK(find_sites_of_a_large_program)->Unit(benchmark::kMillisecond);

// A function of one CPUID, as it is and patched: what the instruction costs a program, without and with an area. The
// table has no LIVE fields, which would be the real CPUID once more.
using CpuidFunction = std::uint32_t (*)(std::uint32_t leaf, std::uint32_t subleaf);

CpuidFunction cpuid_function(std::span<const std::byte> table, bool patched) {
    constexpr std::size_t kPage = 4096, kSite = 5;
    constexpr std::array<std::uint8_t, 11> kCode{0x53,        // push rbx
                                                 0x89, 0xf8,  // mov eax, edi
                                                 0x89, 0xf1,  // mov ecx, esi
                                                 0x0f, 0xa2,  // cpuid
                                                 0x89, 0xd0,  // mov eax, edx
                                                 0x5b,        // pop rbx
                                                 0xc3};       // ret
    const std::size_t area_size = cpuid::stub_area_size(table, 1);
    void* memory =
        ::mmap(nullptr, kPage + area_size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::exit(3);
    auto* code = static_cast<std::byte*>(memory);
    std::memcpy(code, kCode.data(), kCode.size());
    if (patched) {
        cpuid::SitePatch patch;
        patch.length = cpuid::SitePatch::kJumpLength;
        std::memcpy(patch.original.data(), kCode.data() + kSite, patch.length);
        const auto address = reinterpret_cast<std::uint64_t>(code);
        const cpuid::PlacedPatch site{.patch = &patch, .address = address + kSite};
        const cpuid::StubPlan plan = cpuid::plan_stub_area(table, address + kPage, area_size, std::span(&site, 1));
        std::memcpy(code + kPage, plan.bytes.data(), plan.bytes.size());
        std::memcpy(code + kSite, plan.jumps.at(0).bytes.data(), cpuid::SitePatch::kJumpLength);
    }
    return reinterpret_cast<CpuidFunction>(memory);
}

std::vector<std::byte> table_without_live() {
    const auto host = value_or_die(profile::dump_cpuid_here());
    const auto level = value_or_die(level::parse_level("x86-64-v2", arch::Architecture::x86_64));
    auto bytes = cpuid::flatten(cpuid::VirtualCpuid::build(level, host));
    const auto table = cpuid::FlatTable::view(bytes).value();
    for (std::size_t i = 0; i < table.header().entry_count; ++i) {
        const std::size_t live =
            sizeof(cpuid::FlatHeader) + i * sizeof(cpuid::FlatEntry) + offsetof(cpuid::FlatEntry, live);
        std::memset(&bytes[live], 0, sizeof(arch::CpuidRegisters));
    }
    return bytes;
}

void cpuid_instruction(benchmark::State& state, bool patched) {
    const CpuidFunction function = cpuid_function(table_without_live(), patched);
    const auto leaf = static_cast<std::uint32_t>(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(function(leaf, 0));
}
BENCHMARK_CAPTURE(cpuid_instruction, bare, false)->Arg(0)->Arg(7);
BENCHMARK_CAPTURE(cpuid_instruction, patched, true)
    ->Arg(0)
    ->Arg(1)
    ->Arg(4)
    ->Arg(7)
    ->Arg(0xd)
    ->Arg(0x40000000)
    ->Arg(0x80000001)
    ->Arg(0x80000008)
    ->Arg(0x7fffffff);
#endif

}  // namespace
}  // namespace cpulevel

BENCHMARK_MAIN();
