// libvirt as an oracle (CPULEVEL_CORPUS/libvirt): where it puts each feature's bit, what it decodes real dumps to, what its
// models stand for. Nothing of it is in this repository.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "arch/cpu_model.h"
#include "profile/derive.h"
#include "profile/import/tool_names.h"
#include "profile/import/xml_tree.h"
#include "support.h"
#include "util/text.h"

namespace cpulevel::profile {
namespace {

namespace fs = std::filesystem;
using arch::FeatureSet;

const arch::FeatureTable& x86() { return arch::table(arch::Architecture::x86_64); }

class LibvirtCorpus : public ::testing::Test {
   protected:
    void SetUp() override {
        const char* corpus = std::getenv("CPULEVEL_CORPUS");
        if (corpus == nullptr) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS is not set";
        folder_ = fs::path(corpus) / "libvirt";
        if (!fs::exists(folder_)) GTEST_SKIP() << "SKIPPED: CPULEVEL_CORPUS has no folder libvirt";
        for (const auto& entry : fs::directory_iterator(folder_)) {
            const std::string name = entry.path().filename().string();
            if (name.starts_with("x86_64-cpuid-") && name.ends_with(".xml")) files_.push_back(entry.path());
        }
        std::ranges::sort(files_);
    }

    // The raw dump that a "-host.xml" or "-guest.xml" was decoded from.
    [[nodiscard]] static std::string raw_of(std::string path, const std::string& ending) {
        return path.substr(0, path.size() - ending.size()) + ".xml";
    }
    [[nodiscard]] static import::XmlElement tree(const fs::path& path) {
        auto root = import::parse_xml(*read_file(path.string()), path.string());
        EXPECT_TRUE(root) << root.error().message();
        return root ? *std::move(root) : import::XmlElement{};
    }

    fs::path folder_;
    std::vector<fs::path> files_;
};

TEST_F(LibvirtCorpus, EachFeatureIsWhereLibvirtHasIt) {
    const auto root = tree(folder_ / "cpu_map/x86_features.xml");
    std::size_t checked = 0;
    for (const auto& feature : root.children) {
        const auto* place = feature.child("cpuid");
        if (feature.name != "feature" || place == nullptr) continue;
        const auto name = feature.attribute("name");
        const auto id = import::find_feature(x86(), name);
        if (!id) continue;
        const auto leaf = parse_number(place->attribute("eax_in"));
        const auto subleaf = parse_number(place->attribute("ecx_in")).value_or(0);
        for (const auto& [word, reg] : {std::pair{"eax", arch::Register::eax}, {"ebx", arch::Register::ebx},
                                        {"ecx", arch::Register::ecx}, {"edx", arch::Register::edx}}) {
            const auto mask = parse_number(place->attribute(word));
            if (!mask) continue;
            const auto places = x86()[*id].cpuid;
            EXPECT_TRUE(std::ranges::any_of(places, [&](const arch::CpuidPlace& ours) {
                return ours.leaf == leaf && ours.subleaf == subleaf && ours.reg == reg && (1ULL << ours.bit) == *mask;
            })) << name
                << " is elsewhere in data/x86_64.json";
            ++checked;
        }
    }
    EXPECT_GT(checked, 150U);
}

// Why libvirt names a feature that its own dump does not show. Each line must be used.
struct Explanation {
    std::set<std::string> features;
    std::string reason;
};
const std::vector<Explanation>& explanations() {
    static const std::vector<Explanation> all{};
    return all;
}

TEST_F(LibvirtCorpus, WhatItDecodesIsWhatTheDumpShows) {
    std::size_t seen = 0, models = 0;
    std::set<const Explanation*> used;
    for (const fs::path& file : files_) {
        const std::string path = file.string();
        const std::string ending = path.ends_with("-host.xml") ? "-host.xml" : path.ends_with("-guest.xml") ? "-guest.xml" : "";
        if (ending.empty()) continue;
        SCOPED_TRACE(file.filename().string());
        const auto raw = load_profile(raw_of(path, ending));
        ASSERT_TRUE(raw) << raw.error().message();
        const auto decoded = load_profile(path);
        ASSERT_TRUE(decoded) << decoded.error().message();
        ++seen;
        EXPECT_EQ(decoded->origin, "libvirt <cpu>");
        EXPECT_EQ(decoded->identity.vendor, raw->identity.vendor);
        if (decoded->identity.family != 0) {
            EXPECT_EQ(decoded->identity.family, raw->identity.family);
            EXPECT_EQ(decoded->identity.model, raw->identity.model);
        }
        if (arch::find_cpu_model(arch::Architecture::x86_64, decoded->identity.brand) != nullptr) ++models;
        // Bits as they are: the dump's XCR0 says nothing of what libvirt counts as there.
        FeatureSet shown = x86().all();
        for (const CpuGroup& group : raw->cpus) shown &= x86().from_cpuid(group.cpuid, std::nullopt);
        const auto explained = [&](arch::FeatureId id) {
            const auto why = std::ranges::find_if(explanations(), [&](const Explanation& explanation) {
                return explanation.features.contains(std::string(x86()[id].name));
            });
            if (why == explanations().end()) return false;
            used.insert(&*why);
            return true;
        };
        ((decoded->features - shown) & raw->known).for_each([&](arch::FeatureId id) {
            EXPECT_TRUE(explained(id)) << "libvirt says " << x86()[id].name << ", the dump does not show it";
        });
        ((decoded->known - decoded->features) & shown).for_each([&](arch::FeatureId id) {
            EXPECT_TRUE(explained(id)) << "libvirt says no " << x86()[id].name << ", the dump shows it";
        });
    }
    EXPECT_GT(seen, 20U);
    EXPECT_GT(models, 20U) << "hardly any of libvirt's models is known";
    for (const Explanation& explanation : explanations()) {
        EXPECT_TRUE(used.contains(&explanation)) << "explains nothing any more: " << explanation.reason;
    }
}

// What we take for granted of a model, libvirt's model of that name has as well.
TEST_F(LibvirtCorpus, OurModelsPromiseNoMoreThanItsModels) {
    std::map<std::string, FeatureSet> theirs;
    const std::function<FeatureSet(const std::string&)> features_of = [&](const std::string& name) {
        if (const auto at = theirs.find(name); at != theirs.end()) return at->second;
        FeatureSet set;
        const fs::path path = folder_ / "cpu_map" / ("x86_" + name + ".xml");
        if (!fs::exists(path)) return set;
        const auto root = tree(path);
        const auto* model = root.child("model");
        if (model == nullptr) return set;
        for (const auto& part : model->children) {
            if (part.name == "model") set |= features_of(std::string(part.attribute("name")));
            if (part.name != "feature" || part.attribute("removed") == "yes") continue;
            if (const auto id = import::find_feature(x86(), part.attribute("name"))) set.insert(*id);
        }
        return theirs[name] = set;
    };
    std::size_t compared = 0;
    for (const arch::CpuModel& model : arch::cpu_models()) {
        const FeatureSet libvirt = features_of(std::string(model.name));
        if (libvirt.empty()) continue;  // a versioned name, or one that only QEMU has
        ++compared;
        // The system's to set, and what AVX needs: no model names it, every guest with AVX has it.
        const auto osxsave = test::id("osxsave");
        for (const arch::FeatureId id : model.features) {
            if (id == osxsave) continue;
            EXPECT_TRUE(libvirt.contains(id)) << model.name << " of libvirt has no " << x86()[id].name;
        }
    }
    EXPECT_GT(compared, 25U);
}

TEST_F(LibvirtCorpus, EveryFileImports) {
    std::size_t seen = 0;
    for (const auto& entry : fs::directory_iterator(folder_)) {
        if (!entry.is_regular_file()) continue;
        const auto profile = load_profile(entry.path().string());
        ASSERT_TRUE(profile) << profile.error().message();
        EXPECT_FALSE(profile->features.empty());
        ++seen;
    }
    EXPECT_GT(seen, 50U);
}

}  // namespace
}  // namespace cpulevel::profile
