// libvirt's XML:
//   <cpudata>               raw CPUID, as its tool cpu-data.py gathers it
//   <capabilities>          `virsh capabilities`: the host's CPU as a model and features beyond it
//   <domainCapabilities>    `virsh domcapabilities`: what a guest may be given (mode host-model): require and disable
//   <cpu>                   the same alone: `virsh cpu-baseline`, `virsh hypervisor-cpu-baseline`, a guest's definition
// A model's name stands for features. Which, depends a little on the version of libvirt or QEMU; data/cpu_models.json has
// those that all agree on. What neither the model nor a feature element tells is unknown, except for "disable": no.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "arch/cpu_model.h"
#include "profile/import/kernel_words.h"
#include "profile/import/tool_names.h"
#include "profile/import/xml_tree.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

constexpr std::array<std::string_view, 4> kRoots{"<cpudata", "<capabilities", "<domainCapabilities", "<cpu"};

bool recognises(std::string_view text) {
    const auto start = trim(text.substr(0, 1U << 16U));
    return start.starts_with('<') &&
           std::ranges::any_of(kRoots, [&](std::string_view root) { return start.find(root) != std::string_view::npos; });
}

Result<std::uint32_t> hex_attribute(const XmlElement& element, std::string_view attribute, const std::string& name,
                                    bool required) {
    const auto text = element.attribute(attribute);
    if (text.empty() && !required) return 0U;
    const auto value = parse_number(text);
    if (!value || *value > 0xffffffffU) {
        return refuse(name, element.line, fmt::format("{} is not a 32-bit number", attribute));
    }
    return static_cast<std::uint32_t>(*value);
}

Result<NodeProfile> read_cpudata(const XmlElement& root, const std::string& name) {
    if (const auto arch = root.attribute("arch"); arch != "x86") {
        return usage_error("cannot import", name, "CPU data of architecture \"" + printable(arch, 20) + "\"",
                           "only x86 is known; import /proc/cpuinfo of that machine");
    }
    RawBuilder builder(name);
    for (const XmlElement& element : root.children) {
        if (element.name != "cpuid") continue;  // <msr>: of use to a hypervisor
        std::array<std::uint32_t, 6> values{};
        constexpr std::array<std::string_view, 6> kAttributes{"eax_in", "ecx_in", "eax", "ebx", "ecx", "edx"};
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto value = hex_attribute(element, kAttributes[i], name, i == 0);
            if (!value) return std::unexpected(value.error());
            values[i] = *value;
        }
        if (auto added = builder.add(element.line, {values[0], values[1]}, {values[2], values[3], values[4], values[5]});
            !added) {
            return std::unexpected(added.error());
        }
    }
    return builder.finish("libvirt cpudata");
}

class ModelReader {
   public:
    ModelReader(const XmlElement& cpu, arch::Architecture architecture, const std::string& name)
        : cpu_(cpu), table_(arch::table(architecture)) {
        profile_.name = printable(name);
        profile_.architecture = architecture;
    }

    Result<NodeProfile> run(std::string origin) {
        profile_.origin = std::move(origin);
        read_identity();
        read_model();
        for (const XmlElement& element : cpu_.children) {
            if (element.name == "feature") read_feature(element);
        }
        profile_.features = yes_ - no_;
        profile_.known = yes_ | no_;
        if (profile_.known.empty()) {
            return usage_error("cannot import", profile_.name, "it names neither a known CPU model nor a known feature");
        }
        add_notes();
        return std::move(profile_);
    }

   private:
    void read_identity() {
        const auto* vendor = cpu_.child("vendor");
        const std::string text = vendor == nullptr ? "" : printable(trim(vendor->text));
        profile_.identity.vendor = text == "Intel"   ? "GenuineIntel"
                                   : text == "AMD"   ? "AuthenticAMD"
                                   : text == "Hygon" ? "HygonGenuine"
                                                     : text;
        if (const auto* signature = cpu_.child("signature")) {
            profile_.identity.family = small_number(signature->attribute("family"));
            profile_.identity.model = small_number(signature->attribute("model"));
            profile_.identity.stepping = small_number(signature->attribute("stepping"));
        }
    }

    void read_model() {
        const auto* element = cpu_.child("model");
        if (element == nullptr) return;
        const auto model = trim(element->text);
        profile_.identity.brand = printable(model);
        if (const auto* known = arch::find_cpu_model(table_.architecture(), model)) {
            for (const arch::FeatureId id : known->features) yes_.insert(id);
        } else {
            profile_.notes.push_back("what the model " + printable(model, 60) + " stands for is not known here: only the "
                                     "features that are listed beside it are known");
        }
    }

    void read_feature(const XmlElement& element) {
        const auto word = element.attribute("name"), policy = element.attribute("policy");
        const auto id = find_feature(table_, word);
        if (!id) {
            if (strange_.size() < 64) strange_.push_back(printable(word, 40));
        } else if (policy.empty() || policy == "require" || policy == "force") {
            yes_.insert(*id);
        } else if (policy == "disable" || policy == "forbid") {
            no_.insert(*id);
        }  // "optional": may be there or not
    }

    void add_notes() {
        profile_.notes.push_back(fmt::format("made from {}: raw values, the XSAVE layout, HWCAP words, AT_MINSIGSTKSZ and "
                                             "the kernel are not known",
                                             profile_.origin));
        profile_.notes.push_back(fmt::format("a feature that neither the model nor the list has is unknown, not absent: "
                                             "libvirt may not know its name ({} features)",
                                             (table_.all() - profile_.known).size()));
        if (!strange_.empty()) {
            profile_.notes.push_back("features that are not known here, passed over: " + join(strange_, " "));
        }
    }

    const XmlElement& cpu_;
    const arch::FeatureTable& table_;
    NodeProfile profile_;
    arch::FeatureSet yes_, no_;
    std::vector<std::string> strange_;
};

Result<arch::Architecture> architecture_of(const XmlElement* element, const std::string& name) {
    if (element == nullptr) return arch::Architecture::x86_64;  // a guest's <cpu> has none; nearly all are x86
    const auto text = trim(element->text);
    if (const auto architecture = arch::find_architecture(text)) return *architecture;
    if (text == "i686") return arch::Architecture::x86_64;
    return usage_error("cannot import", name, "architecture \"" + printable(text, 20) + "\" is not known here");
}

Result<NodeProfile> read_model(const XmlElement& cpu, const XmlElement* architecture, const std::string& name,
                               std::string origin) {
    const auto which = architecture_of(architecture, name);
    if (!which) return std::unexpected(which.error());
    return ModelReader(cpu, *which, name).run(std::move(origin));
}

Result<NodeProfile> read_domain_capabilities(const XmlElement& root, const std::string& name) {
    const auto* cpu = root.child("cpu");
    if (cpu == nullptr) return usage_error("cannot import", name, "domain capabilities without a <cpu>");
    for (const XmlElement& mode : cpu->children) {
        if (mode.name != "mode" || mode.attribute("name") != "host-model") continue;
        if (mode.attribute("supported") != "yes") break;
        auto profile = read_model(mode, root.child("arch"), name, "virsh domcapabilities");
        if (profile) {
            const auto* domain = root.child("domain");
            profile->notes.push_back(fmt::format("this is what a guest ({}) on that machine may be given, not the machine "
                                                 "itself",
                                                 domain == nullptr ? "unknown" : printable(trim(domain->text), 20)));
        }
        return profile;
    }
    return usage_error("cannot import", name, "this hypervisor has no mode host-model, so it tells no CPU features",
                       "import the guest's own /proc/cpuinfo, or run `cpulevel scan` in it");
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    const auto root = parse_xml(text, name);
    if (!root) return std::unexpected(root.error());
    if (root->name == "cpudata") return read_cpudata(*root, name);
    if (root->name == "domainCapabilities") return read_domain_capabilities(*root, name);
    if (root->name == "cpu") return read_model(*root, root->child("arch"), name, "libvirt <cpu>");
    if (root->name == "capabilities") {
        const auto* host = root->child("host");
        const auto* cpu = host == nullptr ? nullptr : host->child("cpu");
        if (cpu != nullptr) return read_model(*cpu, cpu->child("arch"), name, "virsh capabilities");
        return usage_error("cannot import", name, "capabilities without <host><cpu>");
    }
    return usage_error("cannot import", name, "XML, but not of a kind that is known: <" + printable(root->name, 40) + ">",
                       "known are <cpudata>, <capabilities>, <domainCapabilities> and <cpu> of libvirt");
}

}  // namespace

extern const Format kLibvirt{"libvirt", "libvirt XML: cpudata, virsh capabilities, virsh domcapabilities, <cpu>",
                             recognises, one_node<read>};

}  // namespace cpulevel::profile::import
