// The writing half: called once at a supervisor's start.
#include "engine/registry.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <new>
#include <span>

#include "engine/registry_layout.h"

namespace cpulevel::engine {

namespace {

// Since 6.3, which asks for one of them.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // since 5.1
#endif

// Cuts at a character's border, so that a cut UTF-8 text stays one; the last byte stays NUL.
void put_text(std::span<char> field, std::string_view text) {
    std::size_t length = std::min(text.size(), field.size() - 1);
    if (length < text.size()) {
        while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) --length;
    }
    std::copy_n(text.begin(), length, field.begin());
}

// Words that a shell would not take as they are stand in single quotes.
std::string shell_words(const std::vector<std::string>& command) {
    std::string text;
    for (const std::string& word : command) {
        if (!text.empty()) text += ' ';
        const bool plain = !word.empty() && std::ranges::all_of(word, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   std::string_view("_-./:=,+@%").find(c) != std::string_view::npos;
        });
        if (plain) {
            text += word;
            continue;
        }
        text += '\'';
        for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        text += '\'';
    }
    return text;
}

// A channel that does not fit is left out with all that follow: half a line could say the opposite of the whole.
std::string coverage_lines(const Coverage& coverage, std::size_t limit) {
    std::string text;
    for (const Channel& channel : coverage) {
        std::string line;
        line += name(channel.state);
        for (const std::string_view field : {std::string_view(channel.name), std::string_view(channel.why)}) {
            line += '\t';
            for (const char c : field) line += c == '\t' || c == '\n' ? ' ' : c;
        }
        line += '\n';
        if (text.size() + line.size() > limit) break;
        text += line;
    }
    return text;
}

Fd memory_file(const char* name) {
    constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    // Not with the seal against execution if it can be avoided (vm.memfd_noexec=2 demands it): earlier kernels do not know it, and CRIU
    // could not restore a supervisor there that has one.
    int descriptor = ::memfd_create(name, flags | MFD_EXEC);
    if (descriptor < 0 && errno == EINVAL) descriptor = ::memfd_create(name, flags);
    if (descriptor < 0 && errno == EACCES) descriptor = ::memfd_create(name, flags | MFD_NOEXEC_SEAL);
    return Fd(descriptor);
}

// Constant from the start. Without it the tree is levelled and listed all the same; who needs the level has to be told it.
Fd level_file(std::string_view text) {
    if (text.empty() || text.size() > kMostLevelText) return {};
    Fd file = memory_file(layout::kLevelMemfdName);
    if (!file.valid() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return {};
    constexpr int fixed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    if (::fcntl(file.get(), F_ADD_SEALS, fixed) != 0) return {};
    return file;
}

}  // namespace

void TreeRecord::Unmap::operator()(void* page) const { ::munmap(page, sizeof(layout::Record)); }

TreeCounters& TreeRecord::counters() const { return static_cast<layout::Record*>(page_.get())->counters; }

TreeControl& TreeRecord::control() const { return static_cast<layout::Record*>(page_.get())->control; }

void TreeRecord::answer(std::string_view text) const {
    auto* const record = static_cast<layout::Record*>(page_.get());
    record->answer.fill('\0');
    put_text(record->answer, text);
    std::atomic<std::uint32_t>& answers = record->control.answers;
    answers.fetch_add(1, std::memory_order_release);
    ::syscall(SYS_futex, &answers, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::string_view name(TreeState state) {
    switch (state) {
        case TreeState::levelling: return "levelling";
        case TreeState::released: return "released";
        case TreeState::released_stopped: return "released, stopped";
        case TreeState::taking_up: return "taking up";
    }
    return "unknown";
}

Result<TreeRecord> TreeRecord::create(const TreeDescription& description) {
    const std::string hint = "the program runs all the same; `cpulevel status` will not show it";
    Fd file = memory_file(layout::kMemfdName);
    if (!file.valid()) {
        return system_error(ErrorKind::machine, "cannot publish the tree's record", "memfd_create", hint);
    }
    if (::ftruncate(file.get(), sizeof(layout::Record)) != 0) {
        return system_error(ErrorKind::machine, "cannot publish the tree's record", "ftruncate", hint);
    }
    void* const address =
        ::mmap(nullptr, sizeof(layout::Record), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (address == MAP_FAILED) {
        return system_error(ErrorKind::machine, "cannot publish the tree's record", "mmap", hint);
    }
    std::unique_ptr<void, Unmap> page(address);
    auto* const record = new (address) layout::Record;
    put_text(record->level, description.level);
    put_text(record->engine, description.engine);
    put_text(record->cpuid_method, description.cpuid_method);
    put_text(record->command, shell_words(description.command));
    put_text(record->coverage, coverage_lines(description.coverage, record->coverage.size() - 1));
    record->pid = ::getpid();
    record->version = layout::kVersion;
    record->magic = layout::kMagic;

    // After the mapping was made: this seal keeps the mapping writable and refuses every later one.
    constexpr int fixed = F_SEAL_SHRINK | F_SEAL_GROW;
    if (::fcntl(file.get(), F_ADD_SEALS, fixed | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0 &&
        ::fcntl(file.get(), F_ADD_SEALS, fixed | F_SEAL_SEAL) != 0) {
        return system_error(ErrorKind::machine, "cannot seal the tree's record", "fcntl", hint);
    }
    return TreeRecord(std::move(file), std::move(page), level_file(description.level_text));
}

}  // namespace cpulevel::engine
