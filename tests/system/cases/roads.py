"""Every road by which a program can come to run: each new program is levelled, however it was started."""

import dataclasses
import json
import os
import pathlib
import time

from harness import Context, each, test

ROADS = ("exec", "fork", "vfork", "posix_spawn", "clone3", "clone_silent", "clone_vm", "clone_parent",
         "orphan", "system", "thread_exec", "thread_fork", "leader_gone_exec", "execveat", "fexecve", "proc_self_fd",
         "memfd", "deleted_file")
MAKES = ("print_level", "print_level_pie", "print_level_fixed", "print_level_static", "print_level_static_pie",
         "print_level_bind_now", "print_level_stripped", "print_level_musl", "print_level_musl_static",
         "print_level_32", "print_level_32_static", "print_level_x32")


@each(*MAKES)
def make(t: Context, program: str) -> None:
    """Programs of every make are levelled in all channels, and see the same vector by all of them."""
    victim = t.victim(program)
    if program.endswith("x32"):
        t.need(victim)  # few kernels run them
    bare = t.ok(t.bare(victim))
    levelled = t.levelled(victim)
    t.shows_v2(levelled, bare)
    t.equal(levelled.facts["prctl_auxv"], bare.facts["prctl_auxv"], "PR_GET_AUXV")
    t.equal(levelled.facts["bits"], bare.facts["bits"], "bits")


@each(*ROADS)
def road(t: Context, name: str) -> None:
    """The program at the end of the road is levelled, and its status comes back."""
    command = [t.victim("spawn"), name, t.victim("print_level"), "arrived"]
    bare = t.ok(t.bare(*command))
    levelled = t.levelled(*command)
    t.equal(levelled.facts.get("label"), "arrived", f"the program did not run: {levelled}")
    t.shows_v2(levelled, bare)


@test
def untraced_child_is_not_levelled(t: Context) -> None:
    """CLONE_UNTRACED hides a child from every tracer: the README says so, and the child runs as it would bare."""
    command = [t.victim("spawn"), "clone_untraced", t.victim("print_level"), "arrived"]
    bare = t.ok(t.bare(*command))
    levelled = t.ok(t.levelled(*command))
    t.equal(levelled.facts["hwcap"], bare.facts["hwcap"], "AT_HWCAP of a child that cannot be traced")


@each("fork", "vfork", "posix_spawn", "thread_exec", "memfd", "fexecve")
def road_static(t: Context, name: str) -> None:
    """The same with a static program at the end: nothing rests on ld.so."""
    levelled = t.levelled(t.victim("spawn"), name, t.victim("print_level_static_pie"))
    t.shows_v2(levelled)


@each("exec", "vfork", "thread_exec", "clone_vm")
def from_32_bit(t: Context, name: str) -> None:
    """A 32-bit program starts a 64-bit program that starts a 32-bit one that starts a 64-bit one."""
    spawn_32, spawn = t.victim("spawn_32"), t.victim("spawn")
    t.need(t.victim("print_level_32"))
    command = [spawn_32, name, spawn, name, spawn_32, name, t.victim("print_level")]
    bare = t.ok(t.bare(*command))
    t.shows_v2(t.levelled(*command), bare)


@test
def roads_are_all_tested(t: Context) -> None:
    listed = t.ok(t.bare(t.victim("spawn"), "list")).out.split()
    t.equal(sorted(listed), sorted((*ROADS, "clone_untraced")), "roads of spawn.c and of this file")


def script(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@test
def scripts(t: Context) -> None:
    """`#!`: the interpreter is a program; the interpreter of a script may be a script, four deep."""
    victim = t.victim("print_level")
    inner = script(t.scratch / "s1", f"#!{victim} from-script\n")
    for depth in range(2, 5):
        inner = script(t.scratch / f"s{depth}", f"#!{inner}\n")
    bare = t.ok(t.bare(inner))
    levelled = t.levelled(inner)
    t.equal(levelled.facts["label"], bare.facts["label"], "the last argument")
    t.shows_v2(levelled, bare)


@test
def shell_script(t: Context) -> None:
    """A shell script with a pipe, a subshell, a background job and a failing command."""
    text = f"""#!/bin/sh
(true | {t.victim("print_level")} one | cat)
{t.victim("print_level")} two & wait $!
false || echo failed=$?
exit 4
"""
    path = script(t.scratch / "job", text)
    bare = t.bare(path)
    levelled = t.levelled(path)
    t.equal(levelled.status, bare.status, "status")
    outputs = levelled.out.split("label=")
    t.equal(len(outputs), 3, f"programs that ran: {levelled}")
    t.check("failed=1" in levelled.out, str(levelled))
    for output in outputs[1:]:
        facts = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        t.shows_v2(dataclasses.replace(levelled, status=0, facts=facts))


@test
def script_without_interpreter_line(t: Context) -> None:
    """exec says ENOEXEC; the shell then reads the file itself."""
    path = script(t.scratch / "plain", f"{t.victim('print_level')} plain\n")
    t.shows_v2(t.levelled("/bin/sh", "-c", path))


@test
def failed_exec(t: Context) -> None:
    """A failed exec leaves everything as it was, in the leader and in another thread."""
    bare = t.ok(t.bare(t.victim("failed_exec"), t.scratch))
    levelled = t.ok(t.levelled(t.victim("failed_exec"), t.scratch))
    t.same(bare, levelled)
    t.shows_v2(t.levelled(t.victim("failed_exec"), t.scratch, t.victim("print_level")))


@test
def program_that_does_not_exist(t: Context) -> None:
    """127 and 126, as env(1) has them, and the program's name in the message."""
    missing = t.levelled(t.scratch / "missing-program")
    t.equal(missing.exit, 127, str(missing))
    t.check("missing-program" in missing.messages + missing.err, f"the message does not name it: {missing}")
    plain = t.scratch / "not-executable"
    plain.write_text("no program")
    refused = t.levelled(plain)
    t.equal(refused.exit, 126, str(refused))


@test
def program_by_name(t: Context) -> None:
    """Found in PATH, as execvp does."""
    levelled = t.levelled("print_level", env={"PATH": f"/nonexistent:{t.victims}:/usr/bin:/bin"})
    t.shows_v2(levelled)


@test
def library_loaded_later(t: Context) -> None:
    """CPUID in a shared library's constructor and functions, loaded with dlopen, many times."""
    command = [t.victim("use_library"), t.victim("library.so")]
    t.ok(t.bare(*command))
    levelled = t.ok(t.levelled(*command))
    for fact in ("at_load.leaf7.ebx", "leaf7.ebx"):
        t.check(levelled.number(fact) >> 5 & 1 == 0, f"{fact} shows AVX2: {levelled}")


@test
def library_replaced_by_one_with_cpuid(t: Context) -> None:
    """Libraries without CPUID are mapped without a stop: not one that has some by now, under the same name and inode."""
    place = t.scratch / "library.so"
    script = ('cp "$2" "$1" && "$4" "$1"; "$4" "$1"; cat "$3" >"$1" && exec "$4" "$1"')
    command = ["/bin/sh", "-c", script, "sh", place, t.victim("library_plain.so"), t.victim("library.so"), t.victim("use_library")]
    t.ok(t.bare(*command))
    levelled = t.ok(t.levelled(*command))
    for fact in ("at_load.leaf7.ebx", "leaf7.ebx"):
        t.check(levelled.number(fact) >> 5 & 1 == 0, f"{fact} shows AVX2: {levelled}")


@test
def no_room_for_an_area(t: Context) -> None:
    """Where the address space has no room for stubs, a program is levelled by traps, and told as that."""
    victim = t.victim("no_libraries")
    t.equal(t.bare(victim).exit, 1, "AVX2 in the bare program's CPUID")

    def limited(kilobytes: int) -> list:
        return ["prlimit", f"--as={kilobytes << 10}", victim]

    t.tool("prlimit")
    smallest = next((size for size in range(200, 4000, 4) if t.bare(*limited(size)).exit == 1), None)
    t.check(smallest, "it runs in no 4 MB")
    report = t.scratch / "report.json"
    told = []
    for size in range(smallest, smallest + 80, 8):
        run = t.levelled(*limited(size), options=("--report", report))
        t.check(run.exit in (None, 2), f"in {size} KB: {run}")  # with less room than its own pages it may end as loaders do
        data = json.loads(report.read_text())
        t.equal((data["execs"], len(data["programs"])), (2, 2), "execs")
        if run.exit == 2:
            told.append((data["programs"][1]["planted_sites"], data["cpuid_traps"]))
    if "planted" in data["cpuid_method"]:
        t.check(any(planted != 0 and traps != 0 for planted, traps in told), f"no start had too little room: {told}")


@test
def preloaded_library(t: Context) -> None:
    levelled = t.levelled(t.victim("print_level"), env={"LD_PRELOAD": t.victim("library.so")})
    t.shows_v2(levelled)


@test
def through_the_loader(t: Context) -> None:
    """/lib64/ld-linux-x86-64.so.2 PROGRAM: the loader is the program, and maps the real one."""
    loader = "/lib64/ld-linux-x86-64.so.2"
    if not os.path.exists(loader):
        t.skip(f"no {loader}")
    command = [loader, t.victim("print_level_pie"), "--through-loader"]
    t.shows_v2(t.levelled(*command), t.ok(t.bare(*command)))


@test
def many_in_a_row(t: Context) -> None:
    t.same_both_ways(t.victim("storm"), "execs", 50, except_facts=("digest=",))


@test
def after_the_parent_has_ended(t: Context) -> None:
    """A program that lives on when the one that started it has ended stays levelled, and the first one's status counts."""
    file = t.scratch / "late"
    line = f"( read line; {t.victim('print_level')} late > {file}.part; mv {file}.part {file} ) < {t.scratch}/gate & exit 6"
    os.mkfifo(t.scratch / "gate")
    running = t.start_levelled("/bin/sh", "-c", line)
    with open(t.scratch / "gate", "w") as gate:  # opens when the background shell does
        gate.write("go\n")
    t.equal(running.wait().exit, 6, "status of the first program")
    for _ in range(500):
        if file.exists():
            break
        time.sleep(0.01)
    t.check(file.exists(), "the program that lived on did not run")
    t.shows_v2(t.bare("/bin/cat", file))
