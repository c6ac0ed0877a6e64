"""Much at once. By default with numbers that take seconds; with --torture with those that are promised."""

import concurrent.futures

from harness import Context, each, test


def storm(t: Context, *arguments: str, program: str = "storm") -> None:
    """The same bare and levelled, but for what CPUID answered: each storm has checked that it was the same throughout."""
    victim = t.victim(program)
    bare, levelled = t.same_both_ways(victim, *arguments, except_facts=("digest=",), timeout=900)
    t.ok(t.bare(victim, "same", bare.facts["digest"]))
    t.ok(t.levelled(victim, "same", levelled.facts["digest"]))
    t.check(levelled.facts["digest"] != bare.facts["digest"], "CPUID answered as bare")


def number(t: Context, ordinary: int, torture: int) -> str:
    return str(torture if t.torture else ordinary)


@each("storm", "storm_32", timeout=900)
def execs(t: Context, program: str) -> None:
    """One process executes itself ten thousand times."""
    storm(t, "execs", number(t, 300, 10_000), program=program)


@test(timeout=900)
def processes(t: Context) -> None:
    """A thousand processes at the same time."""
    storm(t, "processes", number(t, 200, 1_000))


@each("storm", "storm_32", timeout=900)
def threads(t: Context, program: str) -> None:
    storm(t, "threads", number(t, 1_000, 50_000), program=program)


@test(timeout=900)
def forks(t: Context) -> None:
    storm(t, "forks", number(t, 500, 10_000))


@test(timeout=900)
def signals(t: Context) -> None:
    storm(t, "signals", number(t, 1_000, 20_000))


@test(timeout=900)
def sudden_ends(t: Context) -> None:
    """Processes that end while their threads fork: the children that nobody has announced end as well."""
    storm(t, "sudden_ends", number(t, 200, 5_000))


@test(timeout=900)
def mixed(t: Context) -> None:
    """Threads, forks, execs and signals together, ended by exit_group in the middle of it."""
    for _ in range(20 if t.torture else 3):
        storm(t, "mixed", number(t, 500, 3_000))


@test(timeout=900)
def shell_loop(t: Context) -> None:
    """A shell that starts programs by the hundred, some in the background."""
    count = number(t, 150, 3_000)
    line = f"i=0; while [ $i -lt {count} ]; do /bin/true & /bin/echo $i | /bin/cat; i=$((i+1)); done; wait; echo end"
    t.same_both_ways("/bin/sh", "-c", line, timeout=900)


@test(timeout=900)
def many_supervisors(t: Context) -> None:
    """Many trees side by side, each with its own level."""
    levels = ("x86-64", "x86-64-v2", "x86-64-v3")
    expected = {level: t.ok(t.levelled(t.victim("print_level"), level=level)).facts for level in levels}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        work = [(level, pool.submit(t.levelled, t.victim("print_level"), level=level))
                for level in levels * (50 if t.torture else 8)]
        for level, run in work:
            t.equal(t.ok(run.result()).facts, expected[level], f"facts at {level}")
