"""Inheritance and the kernel engine: under `cpulevel inherit` a program meets a kernel that hands HWCAPs on by itself.

The rules of inheritance one by one are proven by tests/proof; here is what users do with it.
"""

import json
import pathlib

from harness import Context, each, test

FSGSBASE = 2  # in AT_HWCAP2


def inheriting(t: Context) -> list[str]:
    """The prefix under which a program meets a kernel that inherits."""
    if not t.ok(t.bare(t.victim("print_level"))).number("hwcap2") & FSGSBASE:
        t.skip("AT_HWCAP2 has no FSGSBASE here: the level x86-64-v2 hides nothing of the auxiliary vector")
    return [str(t.cpulevel), "inherit", "--"]


def modest_level(t: Context) -> str:
    """x86-64-v2, with a signal frame no larger than this machine's: what it asks for is HWCAP words (and CPUID) only."""
    here, level = t.scratch / "here.json", t.scratch / "level.json"
    t.ok(t.bare(t.cpulevel, "scan", "-o", here))
    t.ok(t.bare(t.cpulevel, "baseline", here, t.level, "-o", level))
    document = json.loads(level.read_text())
    document["minimum_signal_stack"]["bytes"] = 2048
    level.write_text(json.dumps(document))
    return str(level)


def kernel_run(t: Context, *options: str, level: str | None = None) -> list[str]:
    return t.supervise(level=level, options=("--engine", "kernel", *options))


ACCEPT = "--accept-real-cpuid"


@each("print_level", "print_level_static", "print_level_32")
def imposes_nothing(t: Context, victim: str) -> None:
    """A program that sets nothing finds out under `inherit` what it finds out bare."""
    t.same(t.bare(t.victim(victim)), t.bare(*inheriting(t), t.victim(victim)))


@test
def status_of_the_program(t: Context) -> None:
    for way in (["exit", "41"], ["signal", "15"], ["signal", "9"]):
        t.same(t.bare(t.victim("die"), *way), t.bare(t.cpulevel, "inherit", "--", t.victim("die"), *way))


@each("print_level", "print_level_static", "print_level_32")
def kernel_engine(t: Context, victim: str) -> None:
    """The vector is the level's, without any supervisor of this run's; CPUID is the CPU's."""
    bare = t.ok(t.bare(t.victim(victim)))
    levelled = t.ok(t.bare(*inheriting(t), *kernel_run(t, ACCEPT, level=modest_level(t)), t.victim(victim)))
    t.equal(bare.number("hwcap2") & FSGSBASE, FSGSBASE, "FSGSBASE bare")
    t.equal(levelled.number("hwcap2") & FSGSBASE, 0, "FSGSBASE")
    t.equal(levelled.number("hwcap") & ~bare.number("hwcap"), 0, "bits that this machine lacks")
    t.equal(levelled.number("leaf7.ebx"), bare.number("leaf7.ebx"), "CPUID leaf 7")
    t.equal(levelled.messages, "", "warnings")


@each("fork", "vfork", "thread_exec", "memfd")
def kernel_engine_roads(t: Context, road: str) -> None:
    prefix = [*inheriting(t), *kernel_run(t, ACCEPT)]
    levelled = t.ok(t.bare(*prefix, t.victim("spawn"), road, t.victim("print_level")))
    t.equal(levelled.number("hwcap2") & FSGSBASE, 0, "FSGSBASE")


@test
def kernel_engine_is_the_program(t: Context) -> None:
    """No process of ours is left: cpulevel becomes the program."""
    inner = " ".join(kernel_run(t, ACCEPT))
    done = t.ok(t.bare(*inheriting(t), "/bin/sh", "-c", f"echo first=$$; exec {inner} /bin/sh -c 'echo second=$$'"))
    t.equal(done.facts["first"], done.facts["second"], "process number")


@test
def kernel_engine_by_auto(t: Context) -> None:
    """auto takes it where nothing is lost by it. (By ptrace this run would fail: inherit's supervisor is attached.)"""
    prefix = [*inheriting(t), *t.supervise(level=modest_level(t), options=(ACCEPT,))]
    levelled = t.ok(t.bare(*prefix, t.victim("print_level")))
    t.equal(levelled.number("hwcap2") & FSGSBASE, 0, "FSGSBASE")


@test
def kernel_engine_and_signal_frames(t: Context) -> None:
    """The kernel hands on HWCAP words only: a level that asks for a larger signal frame is told to be not covered."""
    prefix = inheriting(t)
    larger = json.loads(pathlib.Path(modest_level(t)).read_text())
    larger["minimum_signal_stack"]["bytes"] = 1 << 20
    level = t.scratch / "larger.json"
    level.write_text(json.dumps(larger))
    done = t.ok(t.bare(*prefix, *kernel_run(t, ACCEPT, level=str(level)), t.victim("print_level")))
    t.check("AT_MINSIGSTKSZ" in done.messages, str(done))
    t.equal(done.facts["minsigstksz"], t.bare(t.victim("print_level")).facts["minsigstksz"], "AT_MINSIGSTKSZ")
    # auto takes ptrace for it, and cannot have it here.
    t.equal(t.bare(*prefix, *t.supervise(level=str(level), options=(ACCEPT,)), t.victim("print_level")).exit, 125, "status")


@test
def auto_covers_cpuid(t: Context) -> None:
    """Without leave, auto does not take an engine that leaves CPUID open: it is ptrace, which cannot trace twice."""
    done = t.bare(*inheriting(t), *t.supervise(), t.victim("print_level"))
    t.equal(done.exit, 125, str(done))
    t.check("cannot trace" in done.messages, str(done))


def refused(t: Context, prefix: list[str], options: tuple, *says: str) -> None:
    done = t.bare(*prefix, *kernel_run(t, *options), t.victim("print_level"))
    t.equal(done.exit, 125, str(done))
    t.equal(done.out, "", "output of a program that must not have been started")
    for words in says:
        t.check(words in done.messages, f"{words!r} is not said: {done}")


@test
def kernel_engine_on_a_plain_kernel(t: Context) -> None:
    refused(t, [], (ACCEPT,), "does not inherit HWCAPs", "--engine ptrace")


@test
def kernel_engine_wants_leave(t: Context) -> None:
    refused(t, inheriting(t), (), "CPUID", ACCEPT)


@test
def kernel_engine_covering_everything(t: Context) -> None:
    refused(t, inheriting(t), (ACCEPT, "--require-full"), "CPUID")


@each("--verbose", "--report=x.json")
def kernel_engine_has_no_record(t: Context, option: str) -> None:
    refused(t, inheriting(t), (ACCEPT, option), "supervisor")


@test
def kernel_engine_failing_to_execute(t: Context) -> None:
    prefix = [*inheriting(t), *kernel_run(t, ACCEPT)]
    t.equal(t.bare(*prefix, "/there/is/no/such/program").exit, 127, "status")
    t.equal(t.bare(*prefix, "/etc").exit, 126, "status")
    t.equal(t.bare(*prefix, t.victim("die"), "exit", "41").exit, 41, "status")
