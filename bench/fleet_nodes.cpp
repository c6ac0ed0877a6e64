// Writes the node files of a made-up fleet, for bench/fleet.py and for trying `baseline` and `pools` on many nodes:
//
//     bench_fleet_nodes folder DIR COUNT [TYPES]     COUNT files, a thousand in a folder
//     bench_fleet_nodes lines COUNT [TYPES]          JSON lines on standard output
//     bench_fleet_nodes tar COUNT [TYPES]            a tar archive on standard output
//
// The CPUs are those of data/profiles, and where CPULEVEL_CORPUS is set, of the dumps in it. Files differ as honest ones
// do: names, kernels, hypervisors and APIC ids are each node's own; each CPU comes with three revisions of its microcode
// (features that updates add, or take away: these are types of their own), and is written in three ways (indented, in
// one line, with another order of keys). Which CPU the next node has is drawn at random, from a fixed seed; some are
// common and some rare.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "intake/models.h"
#include "profile/derive.h"
#include "profile/import.h"
#include "profile/profile_json.h"

namespace {

namespace fs = std::filesystem;
using namespace cpulevel;
using profile::NodeProfile;

// A text with the places that are each node's own.
struct Form {
    std::string zeros, ones;  // the same node with all LIVE bits 0, and with all of them 1
    std::vector<std::size_t> live;  // digits in which these differ
    std::size_t name = 0, kernel = 0;
};

constexpr std::string_view kName = "node0000000", kKernel = "6.1.0-000-amd64";

NodeProfile with_live_bits(NodeProfile node, bool set) {
    for (profile::CpuGroup& group : node.cpus) {
        arch::CpuidDump ones = group.cpuid;
        for (auto& [key, registers] : ones) registers = {~0U, ~0U, ~0U, ~0U};
        ones = profile::without_live_fields(std::move(ones));
        for (auto& [key, registers] : group.cpuid) {
            const auto mask = ones.at(key);
            const auto apply = [&](std::uint32_t value, std::uint32_t kept) { return set ? value | ~kept : value & kept; };
            registers = {apply(registers.eax, mask.eax), apply(registers.ebx, mask.ebx), apply(registers.ecx, mask.ecx),
                         apply(registers.edx, mask.edx)};
        }
    }
    return node;
}

std::string written(const NodeProfile& node, int how) {
    const std::string text = profile::to_json(node);
    if (how == 0) return text;
    const auto sorted = nlohmann::json::parse(text);
    if (how == 1) return sorted.dump() + "\n";
    nlohmann::ordered_json turned;
    std::vector<std::string> keys;
    for (const auto& [key, value] : sorted.items()) keys.push_back(key);
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) turned[*key] = nlohmann::ordered_json::parse(sorted[*key].dump());
    return turned.dump(1) + "\n";
}

void add_forms(NodeProfile node, bool in_one_line, std::vector<Form>& forms) {
    node.name = kName;
    node.kernel = kKernel;
    node.hypervisor.clear();
    for (int how = in_one_line ? 1 : 0; how < (in_one_line ? 2 : 3); ++how) {
        Form form{written(with_live_bits(node, false), how), written(with_live_bits(node, true), how), {}, 0, 0};
        if (form.zeros.size() != form.ones.size()) continue;
        for (std::size_t i = 0; i < form.zeros.size(); ++i) {
            if (form.zeros[i] != form.ones[i]) form.live.push_back(i);
        }
        form.name = form.zeros.find(kName);
        form.kernel = form.zeros.find(kKernel);
        forms.push_back(std::move(form));
    }
}

// What updates of microcode did to CPUID: MD_CLEAR came (leaf 7 EDX bit 10), then TSX went (leaf 7 EBX bits 4 and 11).
std::vector<NodeProfile> revisions(const NodeProfile& node) {
    std::vector<NodeProfile> all{node};
    const auto change = [&](auto&& edit) {
        NodeProfile next = all.back();
        for (profile::CpuGroup& group : next.cpus) {
            if (const auto leaf = group.cpuid.find({7, 0}); leaf != group.cpuid.end()) edit(leaf->second);
        }
        next.features = next.known = {};
        const auto derived = profile::derive_features(next.architecture, next.cpus, next.xsave ? std::optional(next.xsave->xcr0) : std::nullopt, next.hwcap);
        next.features = derived.features;
        next.known = derived.known;
        all.push_back(std::move(next));
    };
    change([](arch::CpuidRegisters& leaf) { leaf.edx |= 1U << 10U; });
    change([](arch::CpuidRegisters& leaf) { leaf.ebx &= ~(1U << 4U | 1U << 11U); });
    return all;
}

std::vector<NodeProfile> machines(std::size_t most) {
    std::vector<NodeProfile> all;
    for (const std::string& name : intake::model_names()) all.push_back(*intake::find_model(name));
    if (const char* corpus = std::getenv("CPULEVEL_CORPUS")) {
        std::vector<fs::path> files;
        for (const char* folder : {"libcpuid", "instlatx64"}) {
            if (!fs::exists(fs::path(corpus) / folder)) continue;
            for (const auto& entry : fs::recursive_directory_iterator(fs::path(corpus) / folder)) {
                if (entry.is_regular_file()) files.push_back(entry.path());
            }
        }
        std::ranges::sort(files);
        std::shuffle(files.begin(), files.end(), std::mt19937(7));
        for (const fs::path& file : files) {
            auto node = profile::load_profile(file.string());
            if (node && node->architecture == arch::Architecture::x86_64 && profile::from_json(profile::to_json(*node), "")) all.push_back(*std::move(node));
        }
    }
    if (most > 0 && all.size() > most) all.resize(most);
    return all;
}

class Maker {
   public:
    Maker(std::size_t types, bool in_one_line) {
        for (const NodeProfile& machine : machines(types)) {
            const std::size_t before = forms_.size();
            for (const NodeProfile& node : revisions(machine)) add_forms(node, in_one_line, forms_);
            ends_.push_back(forms_.size());
            if (forms_.size() == before) ends_.pop_back();
        }
        std::fprintf(stderr, "%zu CPUs, %zu forms\n", ends_.size(), forms_.size());
    }

    const std::string& next() {
        // Squared: the first CPUs are common, the last ones rare.
        const double draw = std::uniform_real_distribution<double>()(random_);
        const auto cpu = static_cast<std::size_t>(draw * draw * static_cast<double>(ends_.size()));
        const std::size_t first = cpu == 0 ? 0 : ends_[cpu - 1];
        const Form& form = forms_[first + random_() % (ends_[cpu] - first)];
        text_ = form.zeros;
        for (const std::size_t at : form.live) {
            if (form.zeros[at] == '0' && form.ones[at] == 'f') {
                text_[at] = "0123456789abcdef"[random_() % 16];
            } else if (random_() % 2 == 0) {
                text_[at] = form.ones[at];
            }
        }
        name_ = fmt::format("node{:07}", count_++);
        text_.replace(form.name, kName.size(), name_);
        text_.replace(form.kernel, kKernel.size(), fmt::format("6.{}.0-{:03}-amd64", random_() % 10, random_() % 1000));
        return text_;
    }
    [[nodiscard]] const std::string& name() const { return name_; }

   private:
    std::vector<Form> forms_;
    std::vector<std::size_t> ends_;  // of each CPU's forms
    std::mt19937 random_{1};
    std::string text_, name_;
    std::size_t count_ = 0;
};

void write_tar_member(const std::string& name, const std::string& text) {
    std::array<char, 512> block{};
    const auto put = [&](std::size_t at, const std::string& field) { std::memcpy(block.data() + at, field.data(), field.size()); };
    put(0, name);
    put(100, "0000644");
    put(124, fmt::format("{:011o}", text.size()));
    put(136, "00000000000");
    block[156] = '0';
    put(257, std::string("ustar\0" "00", 8));
    put(148, "        ");
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum));
    block[154] = '\0';
    std::fwrite(block.data(), 1, block.size(), stdout);
    std::fwrite(text.data(), 1, text.size(), stdout);
    const std::array<char, 512> zeros{};
    std::fwrite(zeros.data(), 1, (512 - text.size() % 512) % 512, stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const bool folder = words.size() >= 3 && words[0] == "folder";
    if (!folder && (words.size() < 2 || (words[0] != "lines" && words[0] != "tar"))) {
        std::fprintf(stderr, "usage: bench_fleet_nodes folder DIR COUNT [TYPES] | lines COUNT [TYPES] | tar COUNT [TYPES]\n");
        return 2;
    }
    const std::size_t at = folder ? 2 : 1;
    const auto count = std::strtoull(words[at].c_str(), nullptr, 10);
    const auto types = words.size() > at + 1 ? std::strtoull(words[at + 1].c_str(), nullptr, 10) : 12;
    Maker maker(types, words[0] == "lines");
    for (unsigned long long i = 0; i < count; ++i) {
        const std::string& text = maker.next();
        if (words[0] == "lines") {
            std::fwrite(text.data(), 1, text.size(), stdout);
        } else if (words[0] == "tar") {
            write_tar_member(maker.name() + ".json", text);
        } else {
            const std::string inner = fmt::format("{}/{:04}", words[1], i / 1000);
            if (i % 1000 == 0) fs::create_directories(inner);
            std::ofstream(inner + "/" + maker.name() + ".json", std::ios::binary) << text;
        }
    }
    if (words[0] == "tar") {
        const std::array<char, 1024> end{};
        std::fwrite(end.data(), 1, end.size(), stdout);
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
}
