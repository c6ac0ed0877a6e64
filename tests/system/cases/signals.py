"""Signals sent to the supervisor are the program's; stop and continue; the supervisor's own death."""

import os
import re
import signal
import time

from harness import Context, Failed, each, test
from harness.process import stat_fields

PASSED_ON = ("HUP", "INT", "QUIT", "USR1", "USR2", "PIPE", "ALRM", "TERM", "WINCH", "URG", "IO", "PWR", "VTALRM",
             "PROF", "XCPU")


def until(condition, what: str, seconds: float = 10) -> None:
    """For what gives no event to a process that is neither parent nor tracer."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.005)


def state(pid: int) -> str:
    fields = stat_fields(pid)
    return fields[0] if fields else "-"


@test
def passed_on(t: Context) -> None:
    """Each signal that another process sends to the supervisor arrives in the program, once."""
    running = t.start_levelled(t.victim("catch_signals"))
    program = int(running.wait_for(r"ready=(\d+)\n")[1])
    expected = ""
    for name in PASSED_ON:
        number = int(signal.Signals[f"SIG{name}"])
        running.send(number)
        expected += f"caught={number}\n"
        running.wait_for(rf"caught={number}\n")
    os.kill(program, signal.SIGRTMIN)
    done = running.wait()
    t.equal(done.exit, 7, str(done))
    t.equal(done.out.split("\n", 1)[1], expected, "signals that arrived")


@test
def real_time_signal_passed_on(t: Context) -> None:
    running = t.start_levelled(t.victim("catch_signals"))
    running.wait_for(r"ready=(\d+)\n")
    running.send(signal.SIGRTMIN + 5)
    running.wait_for(f"caught={signal.SIGRTMIN + 5}\n")
    running.send(signal.SIGRTMIN)
    t.equal(running.wait().exit, 7, "status")


@each("HUP", "INT", "QUIT", "TERM", "USR1", "ALRM")
def default_action(t: Context, name: str) -> None:
    """A program that does not handle the signal dies of it, and so does the supervisor."""
    number = int(signal.Signals[f"SIG{name}"])
    running = t.start_levelled(t.victim("wait_here"))
    running.wait_for(r"ready=(\d+)\n")
    running.send(number)
    done = running.wait()
    t.equal(done.signal, number, str(done))


@test
def sent_to_the_program(t: Context) -> None:
    """Signals sent to the program itself, with who sent them; and to its process group."""
    for run in (t.start, t.start_levelled):
        running = run(t.victim("catch_signals"))
        program = int(running.wait_for(r"ready=(\d+)\n")[1])
        for number in (signal.SIGUSR1, signal.SIGSEGV, signal.SIGTRAP, signal.SIGILL, signal.SIGCHLD, 63):
            os.kill(program, number)
            running.wait_for(rf"caught={int(number)}\n")
        os.killpg(running.pid, signal.SIGUSR2)  # reaches supervisor and program: arrives once or twice, but arrives
        running.wait_for(r"caught=12\n")
        os.kill(program, signal.SIGRTMIN)
        t.equal(running.wait().exit, 7, "status")


@test
def stop_and_continue(t: Context) -> None:
    """kill -STOP and -CONT of the program: it stands still, and goes on."""
    running = t.start_levelled(t.victim("heartbeat"))
    program = int(running.wait_for(r"beat=(\d+) 5\n")[1])
    for _ in range(3):
        os.kill(program, signal.SIGSTOP)
        until(lambda: state(program) in "Tt", "the program stops")
        before = running.out
        time.sleep(0.1)  # time for it to go wrong in: ten heartbeats
        t.equal(running.out, before, "output of the stopped program")
        os.kill(program, signal.SIGCONT)
        until(lambda: len(running.out) > len(before), "the program goes on")
    os.kill(program, signal.SIGKILL)
    t.equal(running.wait(20).signal, signal.SIGKILL, "how it ended")


@test
def continued_by_the_supervisor(t: Context) -> None:
    """kill -CONT of the supervisor continues a stopped program: whoever started it knows only the supervisor."""
    running = t.start_levelled(t.victim("heartbeat"))
    program = int(running.wait_for(r"beat=(\d+) 5\n")[1])
    os.kill(program, signal.SIGSTOP)
    until(lambda: state(program) in "Tt", "the program stops")
    until(lambda: state(running.pid) in "Tt", "the supervisor stops with it, so that a shell sees it")
    before = running.out
    running.send(signal.SIGCONT)
    until(lambda: len(running.out) > len(before), "the program goes on")
    os.kill(program, signal.SIGKILL)
    t.equal(running.wait(20).signal, signal.SIGKILL, "how it ended")


@test
def stopped_again_at_once(t: Context) -> None:
    """A stop that follows at once on the job's being continued holds, however late the supervisor is: what was started
    has been continued with the program, and must not continue it a second time."""
    running = t.start_levelled(t.victim("wait_here"))
    program = int(running.wait_for(r"ready=(\d+)\n")[1])
    supervisor = tracer_of(program)
    os.kill(program, signal.SIGSTOP)
    for _ in range(10):
        until(lambda: state(program) in "Tt" and state(running.pid) == "T", "both stop")
        os.kill(supervisor, signal.SIGSTOP)
        until(lambda: state(supervisor) == "T", "the supervisor stands")
        os.killpg(running.pid, signal.SIGCONT)
        os.kill(program, signal.SIGSTOP)
        until(lambda: state(running.pid) == "S" and not is_pending(running.pid, signal.SIGCONT), "the job is continued")
        os.kill(supervisor, signal.SIGCONT)
    until(lambda: state(program) in "Tt" and state(running.pid) == "T", "both stop")
    os.kill(program, signal.SIGKILL)
    t.equal(running.wait(20).signal, signal.SIGKILL, "how it ended")


@test
def killed_while_stopped(t: Context) -> None:
    running = t.start_levelled(t.victim("wait_here"))
    program = int(running.wait_for(r"ready=(\d+)\n")[1])
    os.kill(program, signal.SIGSTOP)
    until(lambda: state(program) in "Tt", "the program stops")
    os.kill(program, signal.SIGKILL)
    t.equal(running.wait(20).signal, signal.SIGKILL, "how it ended")


def tracer_of(pid: int) -> int:
    """The process that supervises `pid`: not necessarily the one that was started."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return int(next(line.split()[1] for line in status if line.startswith("TracerPid:")))
    except OSError:
        return 0


def is_pending(pid: int, number: int) -> bool:
    with open(f"/proc/{pid}/status") as status:
        pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask >> (number - 1) & 1 for mask in pending)


def is_gone(pid: int) -> bool:
    return state(pid) in "-Z"


@each("1", "4")
def supervisor_killed(t: Context, processes: str) -> None:
    """When the supervisor is killed, nothing goes on running unlevelled."""
    running = t.start_levelled(t.victim("heartbeat"), processes)
    until(lambda: len(set(re.findall(r"beat=(\d+) 9\n", running.out))) == int(processes), "all hearts beat")
    pids = [int(pid) for pid in set(re.findall(r"beat=(\d+) 9\n", running.out))]
    supervisor = tracer_of(pids[0])
    t.check(supervisor != 0 and all(tracer_of(pid) == supervisor for pid in pids), "not supervised")
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: all(is_gone(pid) for pid in pids), "all processes are gone", 3)
    t.check(running.wait(10).status != 0, "success was reported")


@test
def supervisor_killed_while_stopped(t: Context) -> None:
    running = t.start_levelled(t.victim("wait_here"))
    program = int(running.wait_for(r"ready=(\d+)\n")[1])
    supervisor = tracer_of(program)
    os.kill(program, signal.SIGSTOP)
    until(lambda: state(program) in "Tt", "the program stops")
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: is_gone(program), "the stopped program is gone", 3)
    running.send(signal.SIGCONT)  # what was started has stopped with its program, and nobody is left to wake it
    t.check(running.wait(10).status != 0, "success was reported")


@each("1", "4")
def started_process_killed(t: Context, processes: str) -> None:
    """kill -9 of the process that was started, as a service manager does it: the program ends, as bare. What it has
    started may go on (as bare), but only supervised."""
    running = t.start_levelled(t.victim("heartbeat"), processes)
    until(lambda: len(set(re.findall(r"beat=(\d+) 9\n", running.out))) == int(processes), "all hearts beat")
    pids = [int(pid) for pid in set(re.findall(r"beat=(\d+) 9\n", running.out))]
    (program,) = [pid for pid in pids if int(stat_fields(pid)[1]) not in pids]  # the parent of the others
    running.send(signal.SIGKILL)
    running.wait()
    until(lambda: is_gone(program), "the program is gone", 3)
    for pid in pids:
        t.check(tracer_of(pid) != 0 or is_gone(pid), f"{pid} goes on without a supervisor")
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)


@each("plain", "exec")
def supervisor_killed_tree_goes_on(t: Context, how: str) -> None:
    """--on-supervisor-death continue: the tree goes on."""
    running = t.start_levelled(t.victim("heartbeat"), "1", *(["exec"] if how == "exec" else []),
                               options=("--on-supervisor-death", "continue"))
    program = int(running.wait_for(r"beat=(\d+) 5\n")[1])
    os.kill(tracer_of(program), signal.SIGKILL)
    until(lambda: tracer_of(program) == 0, "the supervisor is gone")
    before = running.out.count("\n")
    until(lambda: running.out.count("\n") > before + 20, "the heartbeats go on")
    os.kill(program, signal.SIGKILL)
    until(lambda: is_gone(program), "the program ends")
