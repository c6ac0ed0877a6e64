"""`cpulevel audit` on living processes: finds what they depend on, and leaves them as they were."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import signal
import subprocess
import time

import harness
from harness import Context

_started: list[tuple] = []  # programs of the test that runs, with the process to end


def ending_all(function):
    """The victims stay in their state until they are ended."""

    @functools.wraps(function)
    def run(*arguments) -> None:
        try:
            function(*arguments)
        finally:
            while _started:
                program, pid = _started.pop()
                os.kill(pid, signal.SIGKILL)
                program.wait(20)

    return run


def test(function):
    return harness.test(ending_all(function))


def each(*variants: str):
    return lambda function: harness.each(*variants)(ending_all(function))


def has(feature: str) -> bool:
    flags = pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0]
    return feature in flags.split()


def need(t: Context, feature: str) -> None:
    if not has(feature):
        t.skip(f"this CPU has no {feature}")


def ready(t: Context, state: str, *, levelled: bool = False, **how):
    """The victim in its state, and its process number."""
    start = t.start_levelled if levelled else t.start
    if levelled:
        how["level"] = smaller_machine(t)
    run = start(t.victim("audit_states"), state, **how)
    pid = int(run.wait_for(r"ready=(\d+)").group(1))
    _started.append((run, pid))
    return run, pid


def audit(t: Context, subject, to, *options: str) -> tuple[int, dict]:
    run = t.bare(t.cpulevel, "audit", subject, "--to", to, "--json", *options)
    t.check(run.exit in (0, 1), str(run))
    report = json.loads(run.out)
    t.equal(report["safe"], run.exit == 0, "exit status and verdict")
    return run.exit, report


def found(report: dict, kind: str) -> list[dict]:
    return [finding for finding in report["findings"] if finding["kind"] == kind]


def this_machine(t: Context) -> pathlib.Path:
    profile = t.scratch / "here.json"
    if not profile.exists():
        t.ok(t.bare(t.cpulevel, "scan", "-o", profile))
    return profile


def smaller_machine(t: Context) -> pathlib.Path:
    """One without XSAVE, like a Nehalem."""
    level = t.scratch / "smaller.json"
    t.ok(t.bare(t.cpulevel, "baseline", this_machine(t), "x86-64-v2", "-o", level))
    return level


@test
def where_it_was_started_is_safe(t: Context) -> None:
    run, pid = ready(t, "clean")
    status, report = audit(t, pid, this_machine(t))
    t.equal(status, 0, f"audit against the same machine: {report['findings']}")
    t.equal(report["processes"][0]["pid"], pid, "pid")
    t.check("glibc's record" in report["processes"][0]["shown"], str(report))


@test
def bare_and_levelled(t: Context) -> None:
    """The same program: started bare it knows of more than the level has, under the level it does not."""
    need(t, "avx2")
    _, pid = ready(t, "clean")
    status, report = audit(t, pid, smaller_machine(t))
    t.equal(status, 1, "bare")
    t.check("avx2" in found(report, "started_beyond")[0]["what"] or "more" in found(report, "started_beyond")[0]["what"], str(report))
    _, pid = ready(t, "clean", levelled=True)
    status, report = audit(t, pid, smaller_machine(t))
    t.equal(status, 0, f"levelled: {report['findings']}")


@each("handler", "nested", "thread")
def inside_a_handler(t: Context, state: str) -> None:
    """Found on each stack, with thread and signal; a target without AVX would lose the upper halves of YMM."""
    need(t, "avx")
    _, pid = ready(t, state)
    _, report = audit(t, pid, smaller_machine(t))
    frames = found(report, "handler_frame")
    t.equal(report["processes"][0]["signal_frames"], 2 if state == "nested" else 1, "frames")
    # The kernel clears the registers when a handler begins: an inner handler interrupts one that has nothing to lose.
    t.equal(len(frames), 1, f"findings: {report['findings']}")
    t.equal(frames[0]["certainty"], "certain", "certainty")
    t.check("upper halves of YMM" in frames[0]["why"], str(frames))
    t.check("SIGUSR1" in frames[0]["what"], str(frames))
    t.check((frames[0]["thread"] == pid) == (state != "thread"), f"thread {frames[0]['thread']} of {pid}")
    _, report = audit(t, pid, this_machine(t))
    t.equal(found(report, "handler_frame"), [], "the same machine takes the frame")


@each("ymm", "zmm")
def vector_registers(t: Context, state: str) -> None:
    need(t, "avx512f" if state == "zmm" else "avx")
    _, pid = ready(t, "clean")
    t.equal(found(audit(t, pid, smaller_machine(t))[1], "vector_state"), [], "no register is in use")
    _, pid = ready(t, state)
    uses = found(audit(t, pid, smaller_machine(t))[1], "vector_state")
    t.equal(len(uses), 1, "findings")
    t.check(("AVX-512" if state == "zmm" else "upper halves of YMM") in uses[0]["what"], str(uses))
    t.equal(found(audit(t, pid, this_machine(t))[1], "vector_state"), [], "the same machine has them")


@test
def library_of_a_higher_level(t: Context) -> None:
    """A library that ld.so takes from glibc-hwcaps because the CPU has AVX2."""
    need(t, "avx2")
    folder = t.scratch / "lib"
    for place in (folder, folder / "glibc-hwcaps/x86-64-v3"):
        place.mkdir(parents=True)
        subprocess.run([t.tool("cc", "gcc"), "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", place / "libaudited.so"], check=True)
    env = {"LD_LIBRARY_PATH": str(folder)}
    _, pid = ready(t, "library", env=env)
    libraries = found(audit(t, pid, smaller_machine(t))[1], "hwcaps_library")
    t.equal(len(libraries), 1, "findings")
    t.check("glibc-hwcaps/x86-64-v3/libaudited.so" in libraries[0]["what"], str(libraries))
    t.equal(found(audit(t, pid, this_machine(t))[1], "hwcaps_library"), [], "the same machine has it")
    _, pid = ready(t, "library", levelled=True, env=env)
    t.equal(found(audit(t, pid, smaller_machine(t))[1], "hwcaps_library"), [], "ld.so takes the other one under the level")


@test
def waiting_for_the_end_of_a_handler(t: Context) -> None:
    """--wait ends with the handler, not with its time; nobody notices."""
    need(t, "avx")
    run, pid = ready(t, "leaves_handler")
    status, report = audit(t, pid, smaller_machine(t), "--wait", "0.2")
    t.equal(len(found(report, "handler_frame")), 1, f"still in the handler: {report}")
    waiting = t.start(t.cpulevel, "audit", pid, "--to", smaller_machine(t), "--json", "--wait", "60")
    tracer = pathlib.Path(f"/proc/{pid}/status")
    while "TracerPid:\t0\n" in tracer.read_text():  # until it watches
        t.check(waiting.status is None, "ended before the handler")
        os.sched_yield()
    run.send(signal.SIGUSR2)
    t.equal(found(json.loads(waiting.wait(20).out), "handler_frame"), [], "after the handler")
    run.wait_for("^left$")
    t.check("TracerPid:\t0\n" in tracer.read_text(), "still traced")


@test
def left_as_it_was(t: Context) -> None:
    """Calls that end at every stop go on, registers keep their values, a stopped process stays stopped."""
    need(t, "avx")
    waits, waiting = ready(t, "waits")
    computes, computing = ready(t, "computes")
    stopped, halted = ready(t, "clean")
    os.kill(halted, signal.SIGSTOP)
    os.waitid(os.P_PID, halted, os.WSTOPPED | os.WNOWAIT)
    for _ in range(10):
        for pid in (waiting, computing, halted):
            audit(t, pid, this_machine(t))
    t.equal(waits.out.count("epoll_wait="), 0, f"interrupted: {waits.out}")
    t.check("wrong=" not in computes.out, computes.out)
    for pid, states in ((waiting, "S"), (computing, "SR"), (halted, "T")):
        # Who was stopped wakes for a moment when a tracer lets go of it, and stops by itself; that tells nobody.
        until = time.monotonic() + 10
        while (state := pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]) not in states:
            t.check(time.monotonic() < until, f"process {pid} is in state {state}, expected {states}")
            time.sleep(0.01)


@test
def whole_tree(t: Context) -> None:
    """All processes below the one that is asked for; --single: only that one."""
    shell = t.start("/bin/sh", "-c", f"{t.victim('audit_states')} clean & wait")
    pid = int(shell.wait_for(r"ready=(\d+)").group(1))
    _started.append((shell, pid))
    pids = [process["pid"] for process in audit(t, shell.pid, this_machine(t))[1]["processes"]]
    t.equal(pids, [shell.pid, pid], "processes")
    pids = [process["pid"] for process in audit(t, shell.pid, this_machine(t), "--single")[1]["processes"]]
    t.equal(pids, [shell.pid], "processes")


@test
def what_cannot_be_read(t: Context) -> None:
    profile = this_machine(t)
    run = t.bare(t.cpulevel, "audit", "4194304", "--to", profile)
    t.equal(run.exit, 2, f"no such process: {run}")
    t.equal(t.bare(t.cpulevel, "audit", "/usr", "--to", profile).exit, 2, "not a checkpoint")
    t.equal(t.bare(t.cpulevel, "audit", "1", "--to", "x86-64-v99").exit, 2, "no such level")
    t.need_root()
    from harness.process import become_user

    t.reachable_copies()
    _, pid = ready(t, "clean")
    profile.chmod(0o644)
    run = t.bare(t.cpulevel, "audit", pid, "--to", profile, preexec=become_user(65534))
    t.equal(run.exit, 3, f"another user's process: {run}")


@test
def real_checkpoints(t: Context) -> None:
    """Those of tests/fixtures/images, by the command."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "fixtures/images"
    status, report = audit(t, folder / "criu-4.1-handler", "x86-64-v3")
    t.equal(status, 1, "handler")
    t.equal(found(report, "handler_frame")[0]["thread"], 17, "thread")
    broken = t.scratch / "broken"
    broken.mkdir()
    for file in (folder / "criu-4.1-quiet").iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[:-3] if file.name.startswith("core") else file.read_bytes())
    run = t.bare(t.cpulevel, "audit", broken, "--to", "x86-64-v3")
    t.equal(run.exit, 2, str(run))
    t.check("core-39.img" in run.messages, str(run))
