// `lscpu --json`: fields and their texts, nested under "children" in newer versions. The flags are the kernel's
// (kernel_words.h), once for each type of CPU. The labels are translated, so it must be run with LC_ALL=C.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "profile/import/kernel_words.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Architecture;

bool recognises(std::string_view text) {
    const auto start = trim(text.substr(0, 4096));
    return start.starts_with('{') && trim(start.substr(1)).starts_with("\"lscpu\"");
}

constexpr int kDeepest = 16;

struct Fields {
    std::map<std::string, std::string, std::less<>> first;
    std::vector<std::string> flags;
    std::vector<std::string> models;

    void collect(const nlohmann::json& list, int depth) {
        if (!list.is_array() || depth > kDeepest) return;
        for (const auto& entry : list) {
            if (!entry.is_object()) continue;
            const auto field = entry.find("field"), data = entry.find("data");
            if (field != entry.end() && field->is_string() && data != entry.end() && data->is_string()) {
                add(field->get_ref<const std::string&>(), data->get_ref<const std::string&>());
            }
            if (const auto children = entry.find("children"); children != entry.end()) collect(*children, depth + 1);
        }
    }

    void add(const std::string& label, const std::string& value) {
        std::string key(trim(label));
        if (key.ends_with(':')) key.pop_back();
        if (key == "Flags" && flags.size() < kMostDifferentLines) flags.push_back(value);
        if (key == "Model name" && models.size() < kMostDifferentLines) models.push_back(value);
        if (first.size() < 256) first.try_emplace(std::move(key), value);
    }

    [[nodiscard]] std::string text(std::string_view key) const {
        const auto at = first.find(key);
        return at == first.end() || at->second == "-" ? std::string{} : printable(at->second);
    }
};

void take_lines(const std::vector<std::string>& lines, KernelWords& words) {
    unsigned kind = 0;
    for (const std::string& line : lines) words.lines[line].push_back(kind++);
}

Result<NodeProfile> read(std::string_view text, const std::string& name) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (json.is_discarded() || !json.is_object() || !json.contains("lscpu")) {
        return usage_error("cannot import", name, "not the JSON of lscpu (cut or damaged)", "lscpu --json makes it");
    }
    Fields fields;
    fields.collect(json["lscpu"], 0);
    KernelWords words;
    words.origin = "lscpu";
    const auto architecture = arch::find_architecture(fields.text("Architecture"));
    if (!architecture) {
        const auto told = fields.text("Architecture");
        return usage_error("cannot import", name,
                           told.empty() ? "no field \"Architecture\"" : "architecture " + told + " is not known here",
                           told.empty() ? "run LC_ALL=C lscpu --json" : "");
    }
    words.architecture = *architecture;
    words.identity = {fields.text("Vendor ID"), fields.text("Model name"), small_number(fields.text("CPU family")),
                      small_number(fields.text("Model")), small_number(fields.text("Stepping"))};
    words.hypervisor = fields.text("Hypervisor vendor");
    if (words.hypervisor == "none") words.hypervisor.clear();
    if (*architecture == Architecture::riscv64) {
        for (const std::string_view key : {"ISA", "Isa", "isa"}) {
            if (const auto isa = fields.text(key); !isa.empty()) words.lines.try_emplace(isa, std::vector<unsigned>{0});
        }
    }
    if (*architecture == Architecture::ppc64le) {
        take_lines(fields.models, words);
    } else {
        take_lines(fields.flags, words);
    }
    if (*architecture == Architecture::s390x) {
        if (const auto machine = fields.text("Machine type"); !machine.empty()) words.identity.brand = "machine " + machine;
    }
    if (words.lines.empty()) {
        return usage_error("cannot import", name,
                           fmt::format("this lscpu tells no features ({})", arch::name(*architecture)),
                           "run LC_ALL=C lscpu --json, or import /proc/cpuinfo of that machine");
    }
    return profile_of(words, name);
}

}  // namespace

extern const Format kLscpu{"lscpu", "lscpu --json", recognises, one_node<read>};

}  // namespace cpulevel::profile::import
