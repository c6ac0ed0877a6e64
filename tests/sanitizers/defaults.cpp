// What the sanitizers' runtimes do to a process that they are in, taken back for the executable: it starts other programs,
// and these inherit what a runtime changes (the action of SIGSEGV and its kin, the limit on core files), which the system
// tests would rightly call a fault. Leaks are looked for in the unit tests: the leak checker wants to trace, and most
// processes of the system tests are traced already.
// (Names and meaning: sanitizer_common/sanitizer_flags.inc of the runtimes.)
namespace {

constexpr const char* kOptions =
    "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:disable_coredump=0:detect_leaks=0:"
    "verify_asan_link_order=0";

}  // namespace

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the runtimes look for these names.
const char* __asan_default_options();
const char* __tsan_default_options();
const char* __asan_default_options() { return kOptions; }
const char* __tsan_default_options() {
    return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:disable_coredump=0";
}
// NOLINTEND(bugprone-reserved-identifier)
}
