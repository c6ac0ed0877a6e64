// `cpulevel run`: a program, and all that it starts, under a level.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "cli/command.h"
#include "cli/knobs.h"
#include "cli/level_argument.h"
#include "cli/start_program.h"
#include "engine/portable.h"
#include "engine/ptrace/site_store.h"
#include "profile/probe.h"
#include "util/text.h"

namespace cpulevel::cli {

namespace {

#if defined(__aarch64__)
constexpr const char* kDefaultLevel = "armv8.0-a";
#else
constexpr const char* kDefaultLevel = "x86-64-v2";
#endif

struct Options {
    std::string level = kDefaultLevel;
    std::string engine = "auto";
    std::string site_cache;
    bool no_patch = false;
    bool accept_real_cpuid = false;
    bool knobs = false;
    std::shared_ptr<StartOptions> start = std::make_shared<StartOptions>();
};

// With the kernel engine programs execute the real CPUID, where the architecture has it: only with leave.
bool cpuid_is_no_obstacle(const Options& options, const level::Level& level) {
    return level.architecture != arch::Architecture::x86_64 || options.accept_real_cpuid;
}

bool wants_a_record(const StartOptions& start) { return start.run.verbose || !start.run.report_path.empty(); }

// What --engine kernel cannot have is an error; what auto would lose by it is a reason for ptrace (false).
Result<bool> kernel_engine_chosen(const Options& options, const level::Level& level) {
    if (options.engine == "ptrace") return false;
    const bool automatic = options.engine == "auto";
    if (!cpuid_is_no_obstacle(options, level)) {
        if (automatic) return false;
        return machine_error("the kernel engine cannot cover CPUID", "",
                             "programs would see the level in their auxiliary vector and the real CPU in CPUID",
                             "use --engine ptrace, or accept it with --accept-real-cpuid");
    }
    if (wants_a_record(*options.start)) {
        if (automatic) return false;
        return usage_error("--verbose and --report need a supervisor", "--engine kernel",
                           "nothing of ours is there any more once the program runs");
    }
    return true;
}

// Nothing: auto goes on with ptrace.
Result<std::optional<engine::kernel::Preparation>> prepare_kernel_engine(const Options& options,
                                                                         const level::Level& level) {
    const auto chosen = kernel_engine_chosen(options, level);
    if (!chosen) return std::unexpected(chosen.error());
    if (!*chosen) return std::nullopt;
    auto prepared = engine::kernel::prepare(level);
    const bool automatic = options.engine == "auto";
    if (!prepared) {
        if (automatic) return std::nullopt;
        return std::unexpected(prepared.error());
    }
    if (options.accept_real_cpuid && !options.start->require_full) {
        std::erase_if(prepared->coverage, [](const engine::Channel& channel) { return channel.name == "CPUID"; });
    }
    const bool full = std::ranges::all_of(
        prepared->coverage, [](const engine::Channel& channel) { return channel.state == engine::ChannelState::full; });
    if (automatic && !full) return std::nullopt;
    return std::optional(std::move(*prepared));
}

// Absolute: the supervisor does not stay in this folder.
Result<std::string> site_cache_folder(const std::string& named) {
    if (named.empty()) return engine::ptrace::SiteStore::default_folder();
    std::error_code error;
    const auto folder = std::filesystem::absolute(named, error);
    if (error) return usage_error("cannot tell where this folder is", named, error.message());
    return folder.lexically_normal().string();
}

Result<int> run_levelled(const Options& options, const std::vector<std::string>& program) {
    if (program.empty()) {
        return usage_error("no program to run", {}, {}, "cpulevel run --level x86-64-v2 -- PROGRAM ARGUMENTS...");
    }
    const auto here = profile::probe_this_machine();
    if (!here) return std::unexpected(here.error());
    const auto level = level_to_give(options.level, *here);
    if (!level) return std::unexpected(level.error());
    if (options.knobs) {
        if (const auto set = set_knobs(*level); !set) return std::unexpected(set.error());
    }
    const auto by_kernel = prepare_kernel_engine(options, *level);
    if (!by_kernel) return std::unexpected(by_kernel.error());
    if (*by_kernel) return become_program(**by_kernel, *options.start, program);
    const auto prepared = engine::ptrace::prepare(*level, *here, options.start->run);
    if (!prepared) return std::unexpected(prepared.error());
    return start_program(*prepared, *options.start, program);
}

Action setup(CLI::App& app) {
    auto options = std::make_shared<Options>();
    app.add_option("-l,--level", options->level, kLevelHelp)->capture_default_str();
    app.add_option("--engine", options->engine, "How the level is enforced: by a supervisor (ptrace), or by a kernel that inherits "
                                              "HWCAPs, without one (kernel)")
        ->check(CLI::IsMember({"auto", "ptrace", "kernel"}))
        ->capture_default_str();
    app.add_flag("--accept-real-cpuid", options->accept_real_cpuid,
                 "Let programs see the real CPUID, so that the kernel engine can be used where the kernel has it");
    app.add_flag("--knobs", options->knobs,
                 "Tell programs the level by environment variables too (those of `export --to env`), on top of what these have");
    add_start_options(app, options->start);
    app.add_flag("--no-patch", options->no_patch, "Never change a program's text, also where CPUID faulting is missing");
    app.add_flag("--trap-only", options->start->run.trap_only, "Answer no CPUID from memory: each is a stop (slow; for comparison)");
    app.add_option("--site-cache", options->site_cache,
                   "Keep what is found out about programs' files, in DIR or ~/.cache/cpulevel/sites, so that the next run starts faster")
        ->type_name("DIR")
        ->expected(0, 1);
    return [options, &app](const Invocation& invocation) -> Result<int> {
        engine::run_portably();
        if (app.count("--site-cache") != 0) {
            const auto folder = site_cache_folder(options->site_cache);
            if (!folder) return std::unexpected(folder.error());
            options->start->run.site_cache = *folder;
        }
        options->start->run.may_patch = !options->no_patch;
        return run_levelled(*options, invocation.program);
    };
}

const Registration kRegistration({
    .name = "run",
    .order = 60,
    .summary = "Run a program, and all that it starts, under a level",
    .details = "The program sees the level's features only: in its auxiliary vector and through CPUID, from its first "
               "instruction on and through every exec. Exits as the program does; 125 if cpulevel itself fails, 126 "
               "if the program cannot be executed, 127 if it is not found.",
    .examples = "  cpulevel run --level x86-64-v2 -- ./server --port 8080\n"
                "  cpulevel run --level level.json -- make test\n"
                "  cpulevel run --level x86-64-v3 --report run.json -- python3 job.py",
    .takes_program = true,
    .failure_status = kOwnFailure,
    .setup = setup,
});

}  // namespace

}  // namespace cpulevel::cli
