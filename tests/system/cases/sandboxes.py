"""Programs that confine themselves: seccomp, no_new_privs, namespaces, chroot."""

import os
import pathlib
import shutil

from harness import Context, each, machine, test
from harness.process import set_no_new_privileges


@each("strict", "filter_tight", "trace_action", "trap_action")
def own_filter(t: Context, case: str) -> None:
    """CPUID under the program's own filter."""
    if case == "strict" and not machine.cpuid_faulting():
        t.skip("with CPUID faulting programs have a filter of ours, and the kernel gives strict mode only to those without one (decision 006)")
    t.same_both_ways(t.victim("sandbox"), case)


@each("exec_prctl_fails", "exec_prctl_kills", "exec_prctl_traps", "filter_inherited", "no_new_privileges")
def exec_under_filter(t: Context, case: str) -> None:
    """exec where the filter forbids what a supervisor may want to do in the new program: it must not die of that, and
    is levelled at least on the stack and in CPUID."""
    command = [t.victim("sandbox"), case, t.victim("print_level")]
    bare = t.ok(t.bare(*command, "--stack-only"))
    t.shows_v2(t.levelled(*command, "--stack-only"), bare)
    complete = t.levelled(*command, "--no-prctl")
    if case.startswith("exec_prctl") and complete.exit == 99 and "/proc/self/auxv" in complete.out:
        # The kernel's copy could not be replaced, because the filter forbids the call: that must have been said.
        t.check("print_level" in complete.messages, f"nothing was said about it: {complete}")
    else:
        t.shows_v2(complete, bare)


@test
def no_new_code(t: Context) -> None:
    """Programs whose memory the kernel never lets be written and executed: our areas and jumps are there all the same, and none is both."""
    command = [t.victim("sandbox"), "no_new_code"]
    bare = t.ok(t.bare(*command, t.victim("print_level")))
    if "unknown" in bare.facts:
        t.skip(f"this kernel has no PR_SET_MDWE: {bare.facts['unknown']}")
    t.shows_v2(t.levelled(*command, t.victim("print_level")), bare)
    areas = t.ok(t.levelled(*command, "/bin/cat", "/proc/self/maps")).out.splitlines()
    t.check(any(" r-xp 00000000 00:00 0" in line for line in areas), f"no area of ours: {areas}")
    t.check(not any("wx" in line.split()[1] for line in areas if " " in line), f"written and executed: {areas}")


@test
def no_new_privs_around_all(t: Context) -> None:
    t.shows_v2(t.levelled(t.victim("print_level"), preexec=set_no_new_privileges))


@each("user", "pid", "all")
def unshare(t: Context, kind: str) -> None:
    """Programs in new namespaces."""
    options = {"user": ["-Ur"], "pid": ["-Urpf", "--mount-proc"], "all": ["-UrpfmnuiC", "--mount-proc"]}[kind]
    prefix = [t.tool("unshare", "util-linux"), *options]
    t.need(*prefix, "/bin/true")
    bare = t.ok(t.bare(*prefix, t.victim("print_level")))
    t.shows_v2(t.levelled(*prefix, t.victim("print_level")), bare)


@test
def unshare_status(t: Context) -> None:
    prefix = [t.tool("unshare", "util-linux"), "-Urpf", "--mount-proc"]
    t.need(*prefix, "/bin/true")
    t.same_both_ways(*prefix, "/bin/sh", "-c", "echo pid=$$; ps ax 2>/dev/null | wc -l; sh -c 'kill -9 $$'; exit 12")


@test
def bubblewrap(t: Context) -> None:
    prefix = [t.tool("bwrap", "bubblewrap"), "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev",
              "--die-with-parent"]
    t.need(*prefix, "/bin/true")
    bare = t.ok(t.bare(*prefix, t.victim("print_level")))
    t.shows_v2(t.levelled(*prefix, t.victim("print_level")), bare)


@test
def chroot_without_proc(t: Context) -> None:
    """A root folder with nothing but the program: no /proc, no libraries."""
    t.need_root()
    root = t.scratch / "root"
    root.mkdir()
    shutil.copy2(t.victim("print_level_static"), root / "program")
    prefix = [t.tool("chroot", "coreutils"), root]
    t.need(*map(str, prefix), "/program")
    bare = t.ok(t.bare(*prefix, "/program"))
    t.equal(bare.facts["proc_auxv"], "unavailable", "there is a /proc")
    t.shows_v2(t.levelled(*prefix, "/program"), bare)


@test
def supervisor_without_libraries(t: Context) -> None:
    """cpulevel itself in a root folder that has no libraries: it is one self-contained file. (/proc is needed.)"""
    t.need_root()
    if b"/lib64/ld-linux" in pathlib.Path(t.cpulevel).read_bytes()[:65536]:
        t.skip("this build of cpulevel is dynamic (sanitizer build)")
    root = t.scratch / "root"
    (root / "proc").mkdir(parents=True)
    shutil.copy2(t.victim("print_level_static"), root / "program")
    shutil.copy2(t.cpulevel, root / "cpulevel")
    # A private mount namespace, so that nothing is left mounted whatever happens.
    prefix = [t.tool("unshare", "util-linux"), "-m", "/bin/sh", "-c",
              f'mount -t proc proc {root}/proc && exec chroot {root} "$@"', "sh"]
    t.need(*prefix, "/program")
    t.shows_v2(t.bare(*prefix, "/cpulevel", "run", "--level", t.level, "--", "/program"))
