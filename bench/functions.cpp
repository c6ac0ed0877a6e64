// The library's own cost, without processes: what `baseline` does for a fleet, and what the supervisor does for a CPUID.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "arch/feature.h"
#include "cpuid/virtual_cpuid.h"
#include "level/expression.h"
#include "level/meet.h"
#include "profile/probe.h"
#include "profile/profile_json.h"

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
#endif

}  // namespace
}  // namespace cpulevel

BENCHMARK_MAIN();
