"""Who may do it: ordinary users, setuid programs, PID 1 of a container."""

import os
import shutil
import signal

from harness import Context, each, test
from harness.context import NOBODY
from harness.process import become_user, descendants, set_no_new_privileges, stat_fields


def ordinary_user(t: Context, *, no_new_privs: bool = False):
    """A function to be called before exec that leaves no privilege."""
    t.need_root()
    t.reachable_copies()
    become = become_user(NOBODY)

    def prepare() -> None:
        become()
        if no_new_privs:
            set_no_new_privileges()

    return prepare


@each("print_level", "print_level_static", "print_level_32")
def ordinary(t: Context, program: str) -> None:
    """A user without any capability levels his own programs."""
    prepare = ordinary_user(t)
    victim = t.victim(program)
    bare = t.ok(t.bare(victim, preexec=prepare))
    t.shows_v2(t.levelled(victim, preexec=prepare), bare)


@each("fork", "thread_exec", "vfork", "memfd")
def ordinary_roads(t: Context, road: str) -> None:
    prepare = ordinary_user(t)
    t.shows_v2(t.levelled(t.victim("spawn"), road, t.victim("print_level"), preexec=prepare))


@test
def ordinary_without_new_privileges(t: Context) -> None:
    prepare = ordinary_user(t, no_new_privs=True)
    t.shows_v2(t.levelled(t.victim("print_level"), preexec=prepare))
    t.equal(t.levelled(t.victim("print_ids"), preexec=prepare).facts["no_new_privs"], "1", "no_new_privs")


@test
def program_that_nobody_may_read(t: Context) -> None:
    """Mode 0711: an ordinary user may execute it, not read it; the kernel then makes it undumpable."""
    prepare = ordinary_user(t)
    program = t.scratch / "unreadable"
    shutil.copy2(t.victim("print_level_static"), program)
    program.chmod(0o711)
    bare = t.bare(program, "--no-prctl", preexec=prepare)
    t.equal(bare.status, 0, str(bare))
    levelled = t.levelled(program, "--no-prctl", preexec=prepare)
    if levelled.status != 0 or levelled.facts["leaf7.ebx"] == bare.facts["leaf7.ebx"]:
        # Nobody but root can look into such a process: not running it, or running it as it is, must be said.
        t.check("not covered" in levelled.messages and "unreadable" in levelled.messages, f"it is not levelled, and nothing was said: {levelled}")
    else:
        t.shows_v2(levelled, bare)


def setuid_copy(t: Context, victim: str) -> str:
    program = t.scratch / "setuid"
    shutil.copy2(t.victim(victim), program)
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    return str(program)


@each("print_ids", "print_ids_static")
def setuid_by_ordinary_supervisor(t: Context, victim: str) -> None:
    """Traced by an ordinary user, a setuid program runs without its privileges (the kernel's rule), and levelled."""
    prepare = ordinary_user(t)
    program = setuid_copy(t, victim)
    bare = t.ok(t.bare(program, preexec=prepare))
    if bare.facts["euid"] != "0":
        t.skip("setuid programs do not work in the temporary folder (nosuid?)")
    levelled = t.ok(t.levelled(program, preexec=prepare))
    t.equal(levelled.facts["euid"], str(NOBODY), "effective user")
    t.equal(levelled.number("leaf7.ebx") >> 5 & 1, 0, "AVX2")
    t.equal(levelled.number("hwcap2") & 2, 0, "FSGSBASE")


@each("print_ids", "print_ids_static")
def setuid_by_root(t: Context, victim: str) -> None:
    """Traced by root, a setuid program started by an ordinary user gets its privileges, and is levelled."""
    t.need_root()
    t.reachable_copies()
    program = setuid_copy(t, victim)
    prefix = [t.tool("setpriv", "util-linux"), "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    bare = t.ok(t.bare(*prefix, program))
    if bare.facts["euid"] != "0":
        t.skip("setuid programs do not work in the temporary folder (nosuid?)")
    levelled = t.ok(t.levelled(*prefix, program))
    for fact in ("uid", "euid", "gid", "egid", "secure"):
        t.equal(levelled.facts[fact], bare.facts[fact], fact)
    t.equal(levelled.number("leaf7.ebx") >> 5 & 1, 0, "AVX2")
    t.equal(levelled.number("hwcap2") & 2, 0, "FSGSBASE")


@test
def program_that_drops_privileges(t: Context) -> None:
    """Started as root, goes on as an ordinary user, and executes further programs."""
    t.need_root()
    t.reachable_copies()
    prefix = [t.tool("setpriv", "util-linux"), "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups",
              "--no-new-privs", "--bounding-set=-all"]
    bare = t.ok(t.bare(*prefix, t.victim("print_level")))
    t.shows_v2(t.levelled(*prefix, t.victim("print_level")), bare)


def container(t: Context) -> list[str]:
    """A PID namespace, as root or by way of a user namespace."""
    prefix = [t.tool("unshare", "util-linux"), "-pf", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        prefix.insert(1, "-Ur")
    t.need(*prefix, "/bin/true")
    return prefix


@test
def first_process(t: Context) -> None:
    """As PID 1: the program is levelled, and PID 1's status is its status."""
    prefix = container(t)
    bare = t.ok(t.bare(*prefix, t.victim("print_level")))
    t.shows_v2(t.bare(*prefix, *t.supervise(), t.victim("print_level")), bare)
    done = t.bare(*prefix, *t.supervise(), t.victim("die"), "exit", "41")
    t.equal(done.exit, 41, str(done))


@test
def first_process_reaps(t: Context) -> None:
    """As PID 1 it reaps orphans, those of its own tree and those that come from outside of it."""
    prefix = container(t)
    done = t.ok(t.bare(*prefix, *t.supervise(), t.victim("orphans"), "20"))
    t.equal(done.facts["reaped"], "20", str(done))


@each("TERM", "INT", "HUP", "USR1")
def first_process_forwards(t: Context, name: str) -> None:
    """A signal for PID 1 (as from `docker stop`) reaches the program."""
    prefix = container(t)
    running = t.start(*prefix, *t.supervise(), t.victim("catch_signals"))
    running.wait_for(r"ready=\d+\n")
    number = int(signal.Signals[f"SIG{name}"])
    # unshare's child is PID 1 of the namespace; from outside it can be signalled if it handles the signal.
    (first,) = [pid for pid in descendants(running.pid) if (stat_fields(pid) or ["", ""])[1] == str(running.pid)]
    os.kill(first, number)
    running.wait_for(rf"caught={number}\n")
    os.kill(first, signal.SIGRTMIN)
    t.equal(running.wait().exit, 7, "status")


@test
def first_process_and_fatal_signal(t: Context) -> None:
    """PID 1 cannot die of a signal of its own; the status then is 128 + the signal's number."""
    prefix = container(t)
    done = t.bare(*prefix, *t.supervise(), t.victim("die"), "signal", "15")
    t.equal(done.exit, 128 + 15, str(done))
