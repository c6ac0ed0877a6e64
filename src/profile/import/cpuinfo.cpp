// /proc/cpuinfo of x86, arm64, s390x, ppc64le, riscv64 and LoongArch Linux, whole or one processor's paragraph. What its
// words are worth: kernel_words.h.
#include <algorithm>
#include <array>
#include <optional>

#include "profile/arm_identity.h"
#include "profile/cpu_list.h"
#include "profile/import/kernel_words.h"
#include "util/text.h"

namespace cpulevel::profile::import {
namespace {

using arch::Architecture;

bool split_line(std::string_view line, std::string_view& key, std::string_view& value) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    key = trim(line.substr(0, colon));
    value = trim(line.substr(colon + 1));
    return !key.empty();
}

// Where each architecture prints its words. "Features" is arm64's and LoongArch's.
bool is_words_key(std::string_view key) {
    return key == "flags" || key == "Features" || key == "features" || key == "isa";
}
bool is_power_name(std::string_view key, std::string_view value) {
    return key == "cpu" && lower(value.substr(0, 5)) == "power";
}
// s390x: "processor 0: version = FF, identification = ..., machine = 8561".
bool is_processor_key(std::string_view key) { return key == "processor" || key.starts_with("processor "); }

bool recognises(std::string_view text) {
    Lines lines(text);
    bool processor = false, words = false;
    for (std::string_view line; lines.next(line) && lines.number() <= 400;) {
        std::string_view key, value;
        if (!split_line(line, key, value)) continue;
        processor = processor || is_processor_key(key) || key == "# processors";
        words = words || is_words_key(key) || is_power_name(key, value);
        if (processor && words) return true;
    }
    return false;
}

constexpr std::array<std::string_view, 17> kWantedKeys{
    "vendor_id",        "cpu family",  "model",    "model name",   "stepping",   "CPU implementer",
    "CPU architecture", "CPU variant", "CPU part", "CPU revision", "CPU Family", "Model Name",
    "revision",         "uarch",       "mvendorid", "marchid",     "machine"};

class Reader {
   public:
    Reader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

    Result<NodeProfile> run() {
        if (auto collected = collect(); !collected) return std::unexpected(collected.error());
        words_.origin = "/proc/cpuinfo";
        if (auto identified = identify(); !identified) return std::unexpected(identified.error());
        return profile_of(words_, name_);
    }

   private:
    Result<void> collect() {
        Lines lines(text_);
        std::optional<unsigned> cpu;
        for (std::string_view line; lines.next(line);) {
            std::string_view key, value;
            if (!split_line(line, key, value)) continue;
            if (key == "processor") {
                const auto number = parse_decimal(value);
                if (!number) continue;  // arm kernels before 3.8: "Processor : ARMv7 ..." has another case
                if (*number > kMaximumCpu) return refuse(name_, lines.number(), "absurd CPU number");
                cpu = static_cast<unsigned>(*number);
            } else if (is_words_key(key) || is_power_name(key, value)) {
                if (!words_key_.empty() && key != words_key_) {
                    return refuse(name_, lines.number(), "CPUs of several architectures in one file");
                }
                // Half a list would make of what was cut off what this CPU does not have.
                if (lines.is_unterminated()) return refuse(name_, lines.number(), "the file may have been cut in the middle of this line",
                                                            "if it is whole, put a newline at its end");
                words_key_ = key;
                words_.lines[std::string(value)].push_back(cpu.value_or(0));
                if (words_.lines.size() > kMostDifferentLines) {
                    return refuse(name_, lines.number(), "absurdly many different CPUs");
                }
            } else if (key.starts_with("processor ")) {
                const auto machine = value.find("machine = ");
                if (machine != std::string_view::npos) first_.try_emplace("machine", trim(value.substr(machine + 10)));
            } else if (std::ranges::find(kWantedKeys, key) != kWantedKeys.end()) {
                first_.try_emplace(key, value);
            }
        }
        return {};
    }

    [[nodiscard]] std::uint32_t number(std::string_view key) const {
        const auto at = first_.find(key);
        return at == first_.end() ? 0 : small_number(at->second);
    }
    [[nodiscard]] std::string text(std::string_view key) const {
        const auto at = first_.find(key);
        return at == first_.end() ? std::string{} : printable(at->second);
    }

    Result<void> identify() {
        if (words_key_ == "flags") {
            words_.architecture = Architecture::x86_64;
            words_.identity = {text("vendor_id"), text("model name"), number("cpu family"), number("model"),
                               number("stepping")};
        } else if (words_key_ == "features") {
            words_.architecture = Architecture::s390x;
            words_.identity.vendor = text("vendor_id");
            if (const auto machine = text("machine"); !machine.empty()) words_.identity.brand = "machine " + machine;
        } else if (words_key_ == "isa") {
            words_.architecture = Architecture::riscv64;
            words_.identity = {text("mvendorid"), text("model name"), 0, 0, 0};
            if (words_.identity.brand.empty()) words_.identity.brand = text("uarch");
        } else if (words_key_ == "cpu") {
            words_.architecture = Architecture::ppc64le;
            words_.identity.vendor = "IBM";
            words_.identity.brand = printable(words_.lines.begin()->first);
        } else if (words_key_ == "Features" && first_.contains("CPU implementer")) {
            return identify_arm();
        } else if (words_key_ == "Features" && lower(text("CPU Family")).starts_with("loongson")) {
            words_.architecture = Architecture::loongarch64;
            words_.identity.vendor = "Loongson";
            words_.identity.brand = text("Model Name");
        } else {
            return usage_error("cannot import", name_,
                               "a /proc/cpuinfo without \"flags\" (x86), \"Features\" and \"CPU implementer\" (arm64), "
                               "\"features\" (s390x), \"isa\" (riscv64) or \"cpu : POWER...\" (ppc64le)",
                               "run `cpulevel scan` on that machine");
        }
        return {};
    }

    Result<void> identify_arm() {
        // What a 32-bit program is shown: other names, for the bits of another ABI.
        const auto& any = words_.lines.begin()->first;
        if ((" " + any + " ").find(" half ") != std::string::npos) {
            return usage_error("cannot import", name_, "these are the features of 32-bit Arm programs",
                               "read /proc/cpuinfo with a 64-bit program");
        }
        const auto field = [&](std::string_view key) { return std::uint64_t{number(key)}; };
        words_.architecture = Architecture::aarch64;
        words_.identity = arm_identity((field("CPU implementer") & 0xff) << 24U | (field("CPU variant") & 0xf) << 20U |
                                       (field("CPU architecture") & 0xf) << 16U | (field("CPU part") & 0xfff) << 4U |
                                       (field("CPU revision") & 0xf));
        return {};
    }

    std::string_view text_;
    const std::string& name_;
    std::string_view words_key_;
    std::map<std::string_view, std::string_view> first_;
    KernelWords words_;
};

Result<NodeProfile> read(std::string_view text, const std::string& name) { return Reader(text, name).run(); }

}  // namespace

extern const Format kCpuinfo{"cpuinfo", "/proc/cpuinfo of x86, arm64, s390x, ppc64le, riscv64, LoongArch", recognises,
                             one_node<read>};

}  // namespace cpulevel::profile::import
