#include "checkpoint/note.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "checkpoint/record.h"
#include "engine/ptrace/proc_stat.h"
#include "engine/ptrace/process_list.h"
#include "util/file.h"

namespace cpulevel::checkpoint {

namespace {

namespace ptrace = engine::ptrace;
namespace fs = std::filesystem;

// With its start time: a number is used again.
std::string note_name(pid_t criu) {
    const auto stat = ptrace::read_proc_stat(criu);
    return fmt::format("cpulevel-criu-{}-{}", criu, stat ? stat->start_time : 0);
}

}  // namespace

Result<Fd> publish_note(pid_t criu, std::string_view text) {
    Fd file(::memfd_create(note_name(criu).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.valid()) return system_error(ErrorKind::machine, "cannot keep what was let go", "memfd_create");
    while (!text.empty()) {
        const ssize_t put = ::write(file.get(), text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return system_error(ErrorKind::machine, "cannot keep what was let go", "write");
        text.remove_prefix(static_cast<std::size_t>(put));
    }
    if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        return system_error(ErrorKind::machine, "cannot keep what was let go", "fcntl");
    }
    return file;
}

Result<std::optional<Note>> find_note(pid_t criu) {
    const std::string wanted = "/memfd:" + note_name(criu) + " (deleted)";
    for (const engine::ProcessParent& process : ptrace::all_processes()) {
        const std::string folder = fmt::format("/proc/{}", process.process);
        // Root sees everybody's descriptors, and must not believe a stranger's.
        struct stat owner{};
        if (::stat(folder.c_str(), &owner) != 0 || owner.st_uid != ::geteuid()) continue;
        std::error_code error;
        for (fs::directory_iterator at(folder + "/fd", error), end; !error && at != end; at.increment(error)) {
            std::error_code gone;
            if (fs::read_symlink(at->path(), gone).string() != wanted) continue;
            auto text = read_file(at->path().string(), kMostBytes);
            if (!text) return std::unexpected(text.error());
            return Note{process.process, std::move(*text)};
        }
    }
    return std::nullopt;
}

}  // namespace cpulevel::checkpoint
