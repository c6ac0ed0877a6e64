"""Much at once. By default with numbers that take seconds; with --torture with those that are promised."""

import concurrent.futures

from harness import Context, each, test


def number(t: Context, ordinary: int, torture: int) -> str:
    return str(torture if t.torture else ordinary)


@each("storm", "storm_32", timeout=900)
def execs(t: Context, program: str) -> None:
    """One process executes itself ten thousand times."""
    t.same_both_ways(t.victim(program), "execs", number(t, 300, 10_000), timeout=900)


@test(timeout=900)
def processes(t: Context) -> None:
    """A thousand processes at the same time."""
    t.same_both_ways(t.victim("storm"), "processes", number(t, 200, 1_000), timeout=900)


@each("storm", "storm_32", timeout=900)
def threads(t: Context, program: str) -> None:
    t.same_both_ways(t.victim(program), "threads", number(t, 1_000, 50_000), timeout=900)


@test(timeout=900)
def forks(t: Context) -> None:
    t.same_both_ways(t.victim("storm"), "forks", number(t, 500, 10_000), timeout=900)


@test(timeout=900)
def signals(t: Context) -> None:
    t.same_both_ways(t.victim("storm"), "signals", number(t, 1_000, 20_000), timeout=900)


@test(timeout=900)
def mixed(t: Context) -> None:
    """Threads, forks, execs and signals together, ended by exit_group in the middle of it."""
    for _ in range(20 if t.torture else 3):
        t.same_both_ways(t.victim("storm"), "mixed", number(t, 500, 3_000), timeout=900)


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
