#include "cli/level_argument.h"

#include <sys/stat.h>

#include <optional>
#include <variant>

#include "arch/feature.h"
#include "cli/files.h"
#include "level/compare.h"
#include "level/expression.h"
#include "level/meet.h"
#include "util/file.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

#if defined(__aarch64__)
constexpr arch::Architecture kHost = arch::Architecture::aarch64;
#else
constexpr arch::Architecture kHost = arch::Architecture::x86_64;
#endif

bool exists(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

// A word that nobody would give to a level: then a missing file is told as a missing file.
bool is_path(const std::string& word) {
    return word == "-" || word.find('/') != std::string::npos || word.ends_with(".json");
}

// The architecture whose named level the expression begins with; this program's own if there is none.
arch::Architecture architecture_of(const std::string& expression) {
    for (const arch::Architecture architecture : arch::architectures()) {
        for (const arch::NamedLevel& named : arch::table(architecture).levels()) {
            if (expression.starts_with(named.name)) return architecture;
        }
    }
    return kHost;
}

// A file may hold an expression: one short line, not JSON and not a dump or a list of features.
bool is_expression(std::string_view text) {
    constexpr std::size_t kLongest = 4096;
    return !text.empty() && text.size() <= kLongest && text.find_first_of("\n {:=,") == std::string_view::npos;
}

Result<level::Level> parse(const std::string& expression, const profile::NodeProfile* here) {
    const profile::XsaveLayout* layout = here != nullptr && here->xsave ? &*here->xsave : nullptr;
    return level::parse_level(expression, architecture_of(expression), layout);
}

Result<level::Level> level_of_document(Document document) {
    if (auto* level = std::get_if<level::Level>(&document)) return std::move(*level);
    const auto& node = std::get<profile::NodeProfile>(document);
    level::MeetOptions options;
    options.name = node.name;
    auto meet = level::meet(std::span(&node, 1), options);
    if (!meet) return std::unexpected(meet.error());
    return std::move(meet->level);
}

}  // namespace

Result<level::Level> level_argument(const std::string& word, const profile::NodeProfile* here) {
    if (!is_path(word)) {
        auto level = parse(word, here);
        if (level || !exists(word)) return level;
    }
    const auto text = read_file(word);
    if (!text) return std::unexpected(text.error());
    const std::string name = word == "-" ? "standard input" : word;
    if (const std::string expression(trim(*text)); is_expression(expression)) return parse(expression, here);
    auto document = parse_document(*text, name);
    if (!document) return std::unexpected(document.error());
    return level_of_document(*std::move(document));
}

Result<level::Level> level_to_give(const std::string& word, const profile::NodeProfile& here) {
    auto level = level_argument(word, &here);
    if (!level) return level;
    if (auto given = level::check_given(*level, here); !given) {
        given.error().hint = "`cpulevel baseline` computes a level that this machine shares with others";
        return std::unexpected(std::move(given.error()));
    }
    return level;
}

Result<profile::NodeProfile> node_argument(const std::string& word) {
    if (is_path(word) || exists(word)) {
        auto document = read_document(word);
        if (!document) return std::unexpected(document.error());
        if (auto* node = std::get_if<profile::NodeProfile>(&*document)) return std::move(*node);
        return level::as_node(std::get<level::Level>(*document));
    }
    auto level = parse(word, nullptr);
    if (level) return level::as_node(*level);
    // Most words here are meant as files, so a word that is neither is told as both.
    Error error = level.error();
    error.hint = "there is no file of that name either" + (error.hint.empty() ? std::string{} : "; " + error.hint);
    return std::unexpected(std::move(error));
}

}  // namespace cpulevel::cli
