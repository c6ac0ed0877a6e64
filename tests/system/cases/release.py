"""Trees that are let go of and taken up again while they run (`cpulevel release`, `cpulevel adopt`)."""

import json
import os
import pathlib
import signal
import time
from contextlib import contextmanager

from harness import Context, each, test
from harness.process import become_user, stat_fields

# Every machine can give it: some virtual machines hide MTRR, which plain x86-64-v2 shows.
LEVEL = "x86-64-v2-mtrr"
ROLES = ("threads", "forks", "births", "sleeps", "futex", "pipe", "epoll", "blocked", "spawns", "stopped", "execs")


def command(t: Context, *arguments, status: int = 0, **how):
    done = t.bare(t.cpulevel, *arguments, **how)
    t.equal(done.exit, status, f"exit status: {done}")
    return done


def asked(t: Context, *arguments) -> dict:
    return json.loads(command(t, *arguments, "--json").out)


def tracer(pid: int) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    raise AssertionError(pid)


def program_of(t: Context, run, name: str) -> int:
    """The process under `cpulevel run` that executes the program `name`."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for tree in json.loads(t.ok(t.bare(t.cpulevel, "status", "--json")).out)["trees"]:
            if int((stat_fields(tree["supervisor"]) or [0, 0])[1]) != run.pid:
                continue
            for member in tree["members"]:
                if member["name"] == name:
                    return member["pid"]
        time.sleep(0.05)  # an exec gives us no event
    raise AssertionError(f"{name} did not start: {run.so_far()}")


def supervisor_of(t: Context, pid: int) -> int:
    return asked(t, "status", pid)["trees"][0]["supervisor"]


def is_stopped(pid: int) -> bool:
    return (stat_fields(pid) or "?")[0] == "T"


@contextmanager
def going_on(t: Context, *roles: str):
    """A levelled tree of these roles; at the end each has to have found everything right."""
    run = t.start_levelled(t.victim("goes_on"), *roles, level=LEVEL)
    run.wait_for("^ready=1$")
    root = program_of(t, run, "goes_on")
    yield run, root
    os.kill(root, signal.SIGTERM)
    done = run.wait(60)
    t.ok(done)
    for role in roles:
        t.equal(done.facts.get(role), "0", f"what {role} found: {done}")
    t.equal(done.facts["done"], "1", str(done))


@contextmanager
def waiting_shell(t: Context, *after: str, levelled: bool = True, prologue: str = ""):
    """A shell that waits for a file, and then executes a program."""
    file = t.scratch / "go"
    line = f"{prologue} while [ ! -e {file} ]; do sleep 0.02; done; exec \"$@\""
    words = ("/bin/sh", "-c", line, "sh", *after)
    run = t.start_levelled(*words, level=LEVEL) if levelled else t.start(*words)
    shell = program_of(t, run, "sh") if levelled else run.pid
    yield run, shell, file
    if not file.exists():
        file.touch()
    run.wait(60)


@each("running", "stopped", timeout=900)
def again_and_again(t: Context, how: str) -> None:
    """Let go and taken up a hundred times (--torture) under load: nothing is lost, nothing runs that was stopped."""
    options = ("--leave-stopped",) if how == "stopped" else ()
    with going_on(t, *ROLES) as (run, root):
        stopped = int(run.wait_for(r"^player=stopped (\d+)$")[1])
        for _ in range(100 if t.torture else 6):
            report = asked(t, "release", root, "--timeout", 60, *options)
            t.check(stopped in report["stopped_before"], f"{stopped} was stopped before: {report}")
            t.equal(tracer(root), 0, "tracer after the release")
            if how == "stopped":
                t.check(all(is_stopped(pid) for pid in report["processes"] if stat_fields(pid)), "not all are stopped")
            report = asked(t, "adopt", root, "--timeout", 60)
            t.equal(tracer(root), report["supervisor"], "tracer after adoption")
            t.check((stat_fields(stopped) or "?")[0] in "tT", "what was stopped before was continued")
            t.check(report["verified_by_asking"] > 0, f"nobody was asked: {report}")


@test
def programs_after_a_release(t: Context) -> None:
    """After a release an exec sees the machine, as is said."""
    bare = t.ok(t.bare(t.victim("print_level")))
    with waiting_shell(t, t.victim("print_level")) as (run, shell, file):
        report = asked(t, "release", shell)
        t.check(any("executed from now on" in sentence for sentence in report["unlevelled"]), str(report))
        file.touch()
        t.equal(t.ok(run.wait()).facts, bare.facts, "what the program sees")


@test
def programs_after_an_adoption(t: Context) -> None:
    with waiting_shell(t, t.victim("print_level")) as (run, shell, file):
        asked(t, "release", shell)
        # A `sleep` of the loop that began in between was not; the shell itself was levelled from its start.
        stays = [text for text in asked(t, "adopt", shell)["stays"] if f"process {shell}:" in text]
        t.check(not stays, f"the shell was levelled from its start: {stays}")
        file.touch()
        t.shows_v2(run.wait())


@test
def cpuid_after_a_release(t: Context) -> None:
    """What answers from memory goes on answering with the level (the threads compare)."""
    with going_on(t, "threads", "forks") as (run, root):
        report = asked(t, "release", root)
        t.check(report["cpuid_in_memory"] > 0, str(report))
        time.sleep(0.3)  # they go on asking


@test
def a_stranger(t: Context) -> None:
    """A process that was never levelled: its next program is, and what it has looked up stays, which is said."""
    with waiting_shell(t, t.victim("print_level"), levelled=False) as (run, shell, file):
        command(t, "adopt", shell, status=2)  # no level given
        done = command(t, "adopt", shell, "--level", LEVEL)
        t.check("Stays:" in done.out and str(shell) in done.out, str(done))
        t.equal(tracer(shell), supervisor_of(t, shell), "tracer")
        file.touch()
        t.shows_v2(run.wait())


@test
def no_lookup_of_two_cpus(t: Context) -> None:
    """What CPUID answers does not change between two instructions of a program that looks its CPU up."""
    run = t.start(t.victim("looks_up"))
    run.wait_for("^ready=1$")
    for _ in range(12):
        command(t, "adopt", run.pid, "--level", "x86-64-mtrr")
        command(t, "release", run.pid)
    run.send(signal.SIGTERM)
    facts = t.ok(run.wait()).facts
    t.check(int(facts["changes"]) >= 12, f"it hardly noticed: {facts}")
    t.equal(facts["mixed"], "0", f"lookups of two CPUs: {facts}")


@test
def a_stranger_is_let_go(t: Context) -> None:
    """The supervisor of an adopted tree ends when it has let go; another one can follow, of another level."""
    with waiting_shell(t, "/bin/true", levelled=False) as (run, shell, _):
        first = asked(t, "adopt", shell, "--level", LEVEL)["supervisor"]
        refused = command(t, "adopt", shell, "--level", "x86-64-mtrr", status=1)
        t.check("levelled already" in refused.messages, str(refused))
        t.check(not asked(t, "release", shell)["supervisor_waits"], "it waits")
        second = asked(t, "adopt", shell, "--level", "x86-64-mtrr")
        t.check(second["supervisor"] != first and second["level"] == "x86-64-mtrr", str(second))


@test
def another_level(t: Context) -> None:
    """The supervisor is gone (its tree lives on): another one gives the tree another level, in the program's own memory too."""
    run = t.start_levelled(t.victim("goes_on"), "forks", level=LEVEL, options=("--on-supervisor-death", "continue"))
    digest = run.wait_for("^digest=([0-9a-f]+)$")[1]
    root = program_of(t, run, "goes_on")
    os.kill(supervisor_of(t, root), signal.SIGKILL)
    end = time.monotonic() + 20
    while tracer(root) != 0 and time.monotonic() < end:
        time.sleep(0.01)
    report = asked(t, "adopt", root, "--level", "x86-64-mtrr")
    t.check(report["cpuid_in_memory"] > 0 and report["verified_by_asking"] > 0, str(report))
    os.kill(root, signal.SIGTERM)
    done = run.wait()
    # The child has compared all the time, and noticed the other level.
    t.equal(done.facts["digest"], digest, str(done))
    t.check("a child was lost" in done.out, f"the children still answer with the first level: {done}")


@each("0", "7", "signal")
def status_while_released(t: Context, how: str) -> None:
    """`run` stands for its program also when that is let go of."""
    program = f"kill -KILL $$" if how == "signal" else f"exit {how}"
    with waiting_shell(t, "/bin/sh", "-c", program) as (run, shell, file):
        asked(t, "release", shell)
        file.touch()
        done = run.wait()
        t.equal(done.signal if how == "signal" else done.exit, 9 if how == "signal" else int(how), str(done))


@test
def the_front_is_killed(t: Context) -> None:
    """Killing `run` means its program, also when that is let go of."""
    with waiting_shell(t, "/bin/true") as (run, shell, _):
        asked(t, "release", shell)
        run.send(signal.SIGKILL)
        end = time.monotonic() + 20
        while stat_fields(shell) is not None and stat_fields(shell)[0] != "Z" and time.monotonic() < end:
            time.sleep(0.01)
        t.check((stat_fields(shell) or "Z")[0] == "Z", "the program lives")


@test
def by_signal(t: Context) -> None:
    """SIGUSR1 and SIGUSR2 to the supervisor do the same."""
    with going_on(t, "threads") as (_, root):
        supervisor = supervisor_of(t, root)
        for number, wanted in ((signal.SIGUSR1, 0), (signal.SIGUSR2, supervisor)):
            os.kill(supervisor, number)
            end = time.monotonic() + 20
            while tracer(root) != wanted and time.monotonic() < end:
                time.sleep(0.01)
            t.equal(tracer(root), wanted, f"tracer after {number}")


@test
def status_shows_it(t: Context) -> None:
    with going_on(t, "threads") as (run, root):
        asked(t, "release", root, "--leave-stopped")
        tree = asked(t, "status", root)["trees"][0]
        t.equal(tree["state"], "released, stopped", str(tree))
        t.check(root in [member["pid"] for member in tree["members"]], str(tree))
        t.check("released" in command(t, "status", run.pid).out, "status of `cpulevel run`")
        t.check(asked(t, "release", root)["already_released"], "released twice")
        asked(t, "adopt", root)
        t.equal(asked(t, "status", root)["trees"][0]["state"], "levelling", "state")
        t.check(asked(t, "adopt", root)["already_levelled"], "adopted twice")


@test
def the_user_sees_no_stop(t: Context) -> None:
    """`run` does not stop with a program that was left stopped: nobody at the terminal has stopped it."""
    with going_on(t, "threads") as (run, root):
        asked(t, "release", root, "--leave-stopped")
        t.check(is_stopped(root) and not is_stopped(run.pid), "run stopped as well")
        asked(t, "adopt", root)


@test
def others_may_not(t: Context) -> None:
    t.need_root()
    t.reachable_copies()
    with going_on(t, "threads") as (_, root):
        refused = command(t, "release", root, status=1, preexec=become_user(65534))
        t.check("no levelled tree that this user can see" in refused.messages, str(refused))
        refused = command(t, "adopt", root, "--level", LEVEL, status=3, preexec=become_user(65534))
        t.check("cannot trace" in refused.messages, str(refused))
        t.equal(tracer(root), supervisor_of(t, root), "tracer")


@test
def a_user_may(t: Context) -> None:
    """No privilege is needed for one's own tree."""
    t.need_root()
    t.reachable_copies()
    user = become_user(65534)
    run = t.start_levelled(t.victim("goes_on"), "threads", "forks", level=LEVEL, preexec=user)
    run.wait_for("^ready=1$")
    root = program_of(t, run, "goes_on")
    for _ in range(3):
        json.loads(command(t, "release", root, "--json", preexec=user).out)
        t.equal(tracer(root), 0, "tracer")
        report = json.loads(command(t, "adopt", root, "--json", preexec=user).out)
        t.check(report["cpuid_in_memory"] > 0, str(report))
    os.kill(root, signal.SIGTERM)
    t.equal(t.ok(run.wait()).facts["threads"], "0", "threads")


@test
def traced_by_another(t: Context) -> None:
    """A process of the tree that strace has: adoption fails, says so, and nothing has changed."""
    strace = t.tool("strace")
    with waiting_shell(t, "/bin/true", levelled=False) as (run, shell, _):
        other = t.start(strace, "-f", "-o", "/dev/null", "-p", shell)
        end = time.monotonic() + 20
        while tracer(shell) == 0 and time.monotonic() < end:
            time.sleep(0.01)
        t.need("true")
        refused = command(t, "adopt", shell, "--level", LEVEL, status=3)
        t.check("cannot trace" in refused.messages and str(other.pid) in refused.messages, str(refused))
        t.equal(tracer(shell), other.pid, "tracer")
        # Not SIGTERM: strace would wait for a shell that waits for its vfork child, which strace keeps in a stop.
        other.send(signal.SIGKILL)
        other.wait()


@contextmanager
def cgroup(t: Context, folder: str):
    t.need_root()
    base = pathlib.Path(folder)
    if not (base / "cgroup.procs").exists():
        t.skip(f"no cgroup file system at {folder}")
    own = base / f"cpulevel-test-{os.getpid()}"
    try:
        own.mkdir()
    except OSError as error:
        t.skip(f"no cgroup can be made: {error}")
    try:
        yield own
    finally:
        for pid in (own / "cgroup.procs").read_text().split():
            (base / "cgroup.procs").write_text(pid)
        own.rmdir()


def wait_for_text(file: pathlib.Path, text: str) -> bool:
    end = time.monotonic() + 20
    while text not in file.read_text() and time.monotonic() < end:
        time.sleep(0.01)
    return text in file.read_text()


def unified() -> str:
    return "/sys/fs/cgroup/unified" if pathlib.Path("/sys/fs/cgroup/unified").exists() else "/sys/fs/cgroup"


@test
def frozen_cgroup_v2(t: Context) -> None:
    """Let go of and taken up while it is frozen; it stays frozen."""
    with cgroup(t, unified()) as group, going_on(t, "threads", "forks", "sleeps") as (run, root):
        if not (group / "cgroup.freeze").exists():
            t.skip("this kernel's cgroup v2 has no freezer")
        for pid in [root, *[int(line.split()[1]) for line in run.out.splitlines() if line.startswith("player=")]]:
            (group / "cgroup.procs").write_text(str(pid))
        (group / "cgroup.freeze").write_text("1")
        t.check(wait_for_text(group / "cgroup.events", "frozen 1"), "not frozen")
        asked(t, "release", root)
        t.check(wait_for_text(group / "cgroup.events", "frozen 1"), "not frozen after the release")
        asked(t, "adopt", root)
        t.equal(tracer(root), supervisor_of(t, root), "tracer")
        # Left stopped, it has not come to its stop while it is frozen; it does not stop when it is thawed.
        asked(t, "release", root, "--leave-stopped")
        asked(t, "adopt", root)
        (group / "cgroup.freeze").write_text("0")
        t.check(wait_for_text(group / "cgroup.events", "frozen 0"), "frozen")


@test
def frozen_cgroup_v1(t: Context) -> None:
    """Cannot be stopped: said, and all is as before; after the thaw it can."""
    with cgroup(t, "/sys/fs/cgroup/freezer") as group, going_on(t, "threads", "forks") as (run, root):
        for pid in [root, *[int(line.split()[1]) for line in run.out.splitlines() if line.startswith("player=")]]:
            (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        t.check(wait_for_text(group / "freezer.state", "FROZEN"), "not frozen")
        refused = command(t, "release", root, "--timeout", 2, status=3)
        t.check("could be stopped" in refused.messages and "frozen" in refused.messages, str(refused))
        t.equal(tracer(root), supervisor_of(t, root), "tracer")
        (group / "freezer.state").write_text("THAWED")
        asked(t, "release", root)
        t.equal(tracer(root), 0, "tracer")
        asked(t, "adopt", root)


@test
def bad_words(t: Context) -> None:
    command(t, "release", 2**31 - 2, status=2)
    command(t, "release", "abc", status=2)
    command(t, "release", os.getpid(), status=1)
    command(t, "adopt", 2**31 - 2, "--level", LEVEL, status=2)
    command(t, "adopt", os.getpid(), "--level", "no-such-level", status=2)
    command(t, "adopt", os.getpid(), "--level", LEVEL, "--leave-stopped", status=2)
