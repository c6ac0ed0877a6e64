"""Programs that want to trace others. A process has one tracer, which under the ptrace engine is the supervisor."""

from harness import Context, test


@test
def own_tracing_is_refused(t: Context) -> None:
    """ptrace fails with EPERM; nothing else goes wrong, and everything stays levelled."""
    victim = t.victim("tracer")
    t.equal(t.ok(t.bare(victim)).facts["traceme"], "done", "bare")
    levelled = t.ok(t.levelled(victim))
    for call in ("traceme", "seize"):
        t.equal(levelled.facts[call], "EPERM", call)
    t.equal(levelled.out.count("child="), 2, str(levelled))


@test
def strace_gives_up(t: Context) -> None:
    strace = t.tool("strace")
    t.need(strace, "-f", "-o", "/dev/null", "/bin/true")
    levelled = t.levelled(strace, "-f", "-o", "/dev/null", "/bin/true", timeout=20)
    t.check(levelled.status != 0, f"strace traced a levelled program: {levelled}")
    t.check("Operation not permitted" in levelled.err, str(levelled))


@test
def gdb_gives_up(t: Context) -> None:
    gdb = t.tool("gdb")
    t.need(gdb, "-nx", "-batch", "-ex", "run", "/bin/true")
    levelled = t.levelled(gdb, "-nx", "-batch", "-ex", "run", "/bin/true", timeout=30)
    t.check("not permitted" in levelled.err + levelled.out, str(levelled))


@test
def strace_outside_of_cpulevel(t: Context) -> None:
    """`strace cpulevel run ...` without -f traces the supervisor alone, which then works as ever."""
    strace = t.tool("strace")
    t.need(strace, "-o", "/dev/null", "/bin/true")
    run = t.bare(strace, "-o", t.scratch / "log", *t.supervise(), t.victim("print_level"))
    t.shows_v2(run)


@test
def cpulevel_within_cpulevel(t: Context) -> None:
    """A second supervisor inside is refused with an explanation, not with a riddle."""
    inner = t.levelled(*t.supervise(level="x86-64"), t.victim("print_level"))
    t.equal(inner.exit, 125, "status")
    t.check("an outer `cpulevel run`" in inner.messages and "has one tracer" in inner.messages, f"no explanation: {inner}")
