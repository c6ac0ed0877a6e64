"""Faults and SIGSEGV: CPUID is the only fault that is taken from a program; all others reach it, unchanged."""

from harness import Context, each, test


@each("faults", "faults_32")
def real_faults(t: Context, program: str) -> None:
    """Signal, si_code, si_addr, trap number of many kinds of fault; those that look like CPUID faults among them."""
    victim = t.victim(program)
    bare, levelled = t.same_both_ways(victim)
    t.ok(levelled)
    t.equal(levelled.facts["many"], "2000", "faults caught")


@each("default", "blocked", "ignored", "ignored_and_blocked", "handler", "one_shot_handler", "handler_on_alternate_stack",
      "handler_and_blocked", "pending", "everything_blocked", "everything_blocked_with_handler", "everything_pending")
def state_of_sigsegv(t: Context, setting: str) -> None:
    """Disposition, flags, masks, alternate stack and pending signals are what they were after each CPUID."""
    bare, levelled = t.same_both_ways(t.victim("segv_state"), setting)
    t.equal(t.ok(levelled).out.count(f"{setting}=unchanged"), 2, f"leader and thread: {levelled}")


@test
def state_over_exec(t: Context) -> None:
    """Blocked and ignored SIGSEGV stay so over exec, although ld.so executes CPUID before main."""
    bare, levelled = t.same_both_ways(t.victim("segv_state"), "exec")
    t.equal(levelled.facts["signal11"], "blocked ignored", "SIGSEGV")


@test
def signals_at_start(t: Context) -> None:
    """A program starts with the mask and dispositions that cpulevel was started with."""
    import signal

    def preset() -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for number in (signal.SIGSEGV, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGSEGV, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1, 40})

    bare, levelled = t.same_both_ways(t.victim("segv_state"), "report", preexec=preset)
    t.equal(levelled.facts["signal11"], "blocked ignored", "SIGSEGV")
    t.equal(levelled.facts["signal15"], "open ignored", "SIGTERM")
    t.same_both_ways(t.victim("segv_state"), "report")


@test
def waiting_calls(t: Context) -> None:
    """Threads that wait in system calls do not notice what goes on beside them."""
    t.ok(t.same_both_ways(t.victim("blocking_calls"))[1])
