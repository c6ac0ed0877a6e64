#include "libcpuid_dump.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace cpulevel::arch::test {

namespace {

std::uint32_t number(const std::string& text, int base) {
    return static_cast<std::uint32_t>(std::stoul(text, nullptr, base));
}

// The names of the arrays of the old format, and the leaf of their first element; the index is a subleaf where the
// name says which leaf it is.
struct OldArray {
    const char* name;
    std::uint32_t leaf;
    bool index_is_subleaf;
};
constexpr OldArray kOldArrays[] = {
    {"basic_cpuid", 0, false},     {"ext_cpuid", 0x80000000, false}, {"intel_fn4", 4, true},
    {"intel_fn11", 0xB, true},     {"intel_fn12h", 0x12, true},      {"intel_fn14h", 0x14, true},
    {"amd_fn8000001dh", 0x8000001D, true}, {"amd_fn80000026h", 0x80000026, true},
};

bool read_new_line(const std::string& line, CpuidDump& dump) {
    static const std::regex kLine(
        R"(CPUID ([0-9A-Fa-f]{8}): ([0-9A-Fa-f]{8})-([0-9A-Fa-f]{8})-([0-9A-Fa-f]{8})-([0-9A-Fa-f]{8})(?: \[SL ([0-9]+)\])?.*)");
    std::smatch part;
    if (!std::regex_match(line, part, kLine)) return false;
    const CpuidKey key{number(part[1], 16), part[6].matched ? number(part[6], 10) : 0};
    dump[key] = {number(part[2], 16), number(part[3], 16), number(part[4], 16), number(part[5], 16)};
    return true;
}

bool read_old_line(const std::string& line, CpuidDump& dump) {
    static const std::regex kLine(
        R"((\w+)\[([0-9]+)\]=([0-9A-Fa-f]{8}) ([0-9A-Fa-f]{8}) ([0-9A-Fa-f]{8}) ([0-9A-Fa-f]{8})\s*)");
    std::smatch part;
    if (!std::regex_match(line, part, kLine)) return false;
    for (const OldArray& array : kOldArrays) {
        if (part[1] != array.name) continue;
        const std::uint32_t index = number(part[2], 10);
        const CpuidKey key = array.index_is_subleaf ? CpuidKey{array.leaf, index} : CpuidKey{array.leaf + index, 0};
        dump[key] = {number(part[3], 16), number(part[4], 16), number(part[5], 16), number(part[6], 16)};
    }
    return true;
}

}  // namespace

std::optional<LibcpuidDump> read_libcpuid_dump(const std::string& path, const std::string& name) {
    std::ifstream file(path);
    LibcpuidDump dump;
    dump.name = name;
    std::string line;
    bool in_registers = true;
    bool first_cpu = true;
    std::string last;
    std::string architecture;
    while (std::getline(file, line)) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (in_registers && line.find("Logical CPU #") != std::string::npos) {
            first_cpu = dump.registers.empty();
        } else if (in_registers && line.starts_with("--------") && line.find_first_not_of('-') == std::string::npos) {
            in_registers = false;
        } else if (in_registers) {
            if (first_cpu && !read_new_line(line, dump.registers)) read_old_line(line, dump.registers);
        } else {
            if (architecture.empty()) {
                architecture = line;
            } else if (dump.level.empty()) {
                dump.level = line;
            }
            if (line.starts_with("--------")) break;  // a second kind of core follows
            if (!line.empty()) last = line;
        }
    }
    if (architecture != "x86" || dump.registers.empty()) return std::nullopt;
    std::istringstream flags(last);
    for (std::string flag; flags >> flag;) dump.flags.push_back(flag);
    return dump;
}

std::vector<LibcpuidDump> libcpuid_corpus() {
    std::vector<LibcpuidDump> dumps;
    const char* corpus = std::getenv("CPULEVEL_CORPUS");
    if (corpus == nullptr) return dumps;
    const std::filesystem::path root = std::filesystem::path(corpus) / "libcpuid";
    std::error_code none;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root, none)) {
        if (entry.path().extension() != ".test") continue;
        if (auto dump = read_libcpuid_dump(entry.path(), std::filesystem::relative(entry.path(), root))) {
            dumps.push_back(std::move(*dump));
        }
    }
    std::ranges::sort(dumps, {}, &LibcpuidDump::name);
    return dumps;
}

}  // namespace cpulevel::arch::test
