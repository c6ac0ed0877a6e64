"""How programs end: the same status, the same signal, and their core dumps."""

import os
import pathlib
import resource
import signal

from harness import Context, each, test

FATAL = tuple(str(number) for number in (*range(1, 17), 24, 25, 26, 27, 29, 30, 31, 34, 64) if number != signal.SIGKILL)


@each("0", "1", "7", "125", "126", "127", "128", "255")
def exit_status(t: Context, number: str) -> None:
    t.same_both_ways(t.victim("die"), "exit", number)


@test
def exit_from_a_thread(t: Context) -> None:
    t.same_both_ways(t.victim("die"), "thread_exit", "9")


@each(*FATAL, str(int(signal.SIGKILL)))
def signal_death(t: Context, number: str) -> None:
    """The supervisor dies of the signal that its program died of (so that a shell, make or systemd sees it)."""
    bare, levelled = t.bare(t.victim("die"), "signal", number), t.levelled(t.victim("die"), "signal", number)
    t.equal(bare.signal, int(number), "bare")
    t.equal(levelled.signal, int(number), f"levelled: {levelled}")


@each("segv", "blocked_segv", "ignored_segv", "abort")
def fatal_fault(t: Context, how: str) -> None:
    """A real fault kills, also where SIGSEGV is blocked or ignored."""
    bare, levelled = t.bare(t.victim("die"), how), t.levelled(t.victim("die"), how)
    t.equal(levelled.signal, bare.signal, f"signal: {levelled}")


@each("1", "9", "11", "15")
def signal_death_in_the_tree(t: Context, number: str) -> None:
    """A shell under the supervisor sees its children's deaths."""
    t.same_both_ways("/bin/sh", "-c", f"{t.victim('die')} signal {number} 2>/dev/null; echo status=$?; exit 3")


@test
def core_dump(t: Context) -> None:
    """The program's core is written, as bare, is the program's, and is the only one."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith(("|", "/", "@")):
        t.skip(f"core_pattern is {pattern!r}: cores do not go to the working folder")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] not in (resource.RLIM_INFINITY,):
        t.skip("the hard limit on core files is not unlimited")

    def allow_core() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    found = {}
    for name, run in (("bare", t.bare), ("levelled", t.levelled)):
        folder = t.scratch / name
        folder.mkdir()
        done = run(t.victim("die"), "segv", cwd=folder, preexec=allow_core)
        t.equal(done.signal, signal.SIGSEGV, f"{name}: {done}")
        found[name] = [file for file in folder.iterdir()]
    t.equal(len(found["levelled"]), len(found["bare"]), "number of core files")
    for file in found["levelled"]:
        t.check(b"die\0segv" in file.read_bytes() or b"victims/die" in file.read_bytes(), f"{file} is not the program's core")


@test
def no_leftovers_after_kill(t: Context) -> None:
    """exit_group with threads and children busy: status is kept, nothing is left."""
    t.same_both_ways(t.victim("storm"), "mixed", "300", except_facts=("digest=",))


@test
def output_and_input_pass_through(t: Context) -> None:
    """Standard streams are the program's own; further descriptors are inherited; none are added."""
    bare, levelled = t.same_both_ways("/bin/sh", "-c", "cat; echo error >&2; ls /proc/self/fd", input="some input\n")
    t.check("some input" in levelled.out, str(levelled))
    read_end, write_end = os.pipe()
    os.write(write_end, b"by descriptor")
    os.close(write_end)
    levelled = t.levelled("/bin/sh", "-c", f"cat <&{read_end}", pass_fds=(read_end,))
    os.close(read_end)
    t.equal(levelled.out, "by descriptor", str(levelled))


@test
def environment_and_arguments(t: Context) -> None:
    """Environment, arguments, working folder, umask, limits, priority, scheduler and CPU mask are the program's own."""
    line = ("env | sort; pwd; umask; ulimit -a; nice; grep -E '^(Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Seccomp|Cpus_allowed|Groups)'"
            " /proc/self/status; cat /proc/self/oom_score_adj; printf '[%s]' \"$@\"")
    t.same_both_ways("/bin/bash", "-c", line, "name", "", "a b", "--level", "--", "ünï\tcode",
                     env={"EMPTY": "", "ODD": "a\nb=c"}, cwd=t.scratch)
