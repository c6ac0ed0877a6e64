"""Terminal and job control: each test types the same at a shell whose job is bare, and whose job is levelled."""

import os
import shlex
import signal
import time
from collections.abc import Callable

from harness import Context, Failed, test
from harness.process import stat_fields
from harness.terminal import Terminal

HOW = ("bare", "levelled")


def shell(t: Context) -> Terminal:
    terminal = Terminal("/bin/bash", "--norc", "--noprofile", "--noediting", "-i",
                        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TERM": "dumb"})
    terminal.prompt()
    return terminal


def both_ways(t: Context, steps: Callable[[Terminal, str], None]) -> None:
    for how in HOW:
        # `run` is what stands before each command.
        run = "" if how == "bare" else " ".join(map(shlex.quote, t.supervise())) + " "
        terminal = shell(t)
        try:
            steps(terminal, run)
            terminal.type("exit 0\n")
        except Failed as reason:
            raise Failed(f"{how}: {reason}") from None
        finally:
            terminal.close()


def status_is(terminal: Terminal, expected: int) -> None:
    terminal.prompt()
    terminal.command("echo status=$?")
    found = terminal.expect(r"status=(\d+)\r\n")[1]
    if int(found) != expected:
        raise Failed(f"status {found}, expected {expected}\n{terminal.transcript()}")
    terminal.prompt()


@test
def interrupt(t: Context) -> None:
    """Ctrl-C"""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}{t.victim('wait_here')}\n")
        terminal.expect(r"ready=\d+")
        terminal.type("\x03")
        status_is(terminal, 130)

    both_ways(t, steps)


@test
def interrupt_arrives_once(t: Context) -> None:
    """A Ctrl-C that the program handles arrives once: the terminal sends it to the program itself, too."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}{t.victim('catch_signals')}\n")
        program = terminal.expect(r"ready=(\d+)")[1]
        terminal.type("\x03")
        terminal.expect(r"caught=2\r\n")
        os.kill(int(program), signal.SIGUSR1)
        found = terminal.expect(r"((?:caught=\d+\r\n)*)caught=10\r\n")[1]
        if "caught=2" in found:
            raise Failed(f"SIGINT arrived twice\n{terminal.transcript()}")
        os.kill(int(program), signal.SIGRTMIN)
        status_is(terminal, 7)

    both_ways(t, steps)


@test
def quit_key(t: Context) -> None:
    """Ctrl-\\"""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type("ulimit -c 0\n")
        terminal.prompt()
        terminal.type(f"{run}{t.victim('wait_here')}\n")
        terminal.expect(r"ready=\d+")
        terminal.type("\x1c")
        status_is(terminal, 131)

    both_ways(t, steps)


@test
def suspend_and_foreground(t: Context) -> None:
    """Ctrl-Z, jobs, fg, Ctrl-Z, bg, fg, Ctrl-C"""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}{t.victim('wait_here')}\n")
        terminal.expect(r"ready=\d+")
        for _ in range(3):
            terminal.type("\x1a")
            terminal.expect("Stopped")
            terminal.prompt()
            terminal.command("jobs")
            terminal.expect(r"\[1\]\+ +Stopped")
            terminal.prompt()
            terminal.foreground("wait_here\r\n")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.prompt()
        terminal.type("bg\n")
        terminal.expect(r"\[1\]\+ .*&")
        terminal.prompt()
        terminal.command("jobs")
        terminal.expect(r"\[1\]\+ +Running")
        terminal.prompt()
        terminal.foreground("wait_here\r\n")
        terminal.type("\x03")
        status_is(terminal, 130)

    both_ways(t, steps)


@test
def suspended_program_works_on(t: Context) -> None:
    """A pipeline is suspended and continued in the middle of its work, and loses nothing."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}sh -c 'echo started; read line; echo got-$line; read line; echo and-$line; exit 5'\n")
        terminal.expect(r"\nstarted\r\n")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.prompt()
        terminal.foreground("exit 5'\r\n")
        terminal.type("one\n")
        terminal.expect("got-one\r\n")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.prompt()
        terminal.foreground("exit 5'\r\n")
        terminal.type("two\n")
        terminal.expect("and-two\r\n")
        status_is(terminal, 5)

    both_ways(t, steps)


@test
def background_job(t: Context) -> None:
    """A job in the background, killed; its status by wait."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}{t.victim('wait_here')} &\n")
        terminal.expect(r"ready=\d+")
        # In one line: at a prompt in between the shell would tell of the job's end, and forget it.
        terminal.type("kill %1; wait %1; echo status=$?\n")
        found = terminal.expect(r"status=(\d+)\r\n")[1]
        if found != "143":
            raise Failed(f"status {found}, expected 143\n{terminal.transcript()}")

    both_ways(t, steps)


@test
def reading_in_the_background(t: Context) -> None:
    """A background job that reads from the terminal is stopped (SIGTTIN) and reads when it is in the foreground."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}cat &\n")
        terminal.prompt()
        for _ in range(100):
            terminal.command("jobs")
            if terminal.expect(r"\[1\]\+? +(Stopped|Running)")[1] == "Stopped":
                break
            terminal.prompt()
            terminal.command("read -t 0.1 -u 9 9<&1; :")  # the shell notices the stop when it comes to its prompt
            terminal.prompt()
        else:
            raise Failed(f"not stopped\n{terminal.transcript()}")
        terminal.prompt()
        terminal.foreground("cat\r\n")
        terminal.type("some words\n")
        terminal.expect("some words\r\nsome words\r\n")
        terminal.type("\x04")
        status_is(terminal, 0)

    both_ways(t, steps)


@test
def stops_itself(t: Context) -> None:
    """A program that stops itself (as vi does at :suspend)."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}sh -c 'echo before; kill -STOP $$; echo after; exit 8'\n")
        terminal.expect(r"\nbefore\r\n")
        terminal.expect("Stopped")
        terminal.prompt()
        terminal.type("fg\n")
        terminal.expect("\nafter\r\n")
        status_is(terminal, 8)

    both_ways(t, steps)


@test
def window_size(t: Context) -> None:
    """SIGWINCH comes from the terminal, and the program sees the new size."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.resize(24, 80)
        terminal.type(f"{run}bash -c 'trap \"stty size; exit 4\" WINCH; echo ready; while :; do read -t 0.1; done'\n")
        terminal.expect("\nready\r\n")
        terminal.resize(33, 111)
        terminal.expect("33 111\r\n")
        status_is(terminal, 4)

    both_ways(t, steps)


@test
def shell_inside(t: Context) -> None:
    """An interactive shell in the tree does its own job control."""

    def steps(terminal: Terminal, run: str) -> None:
        terminal.type(f"{run}bash --norc --noprofile --noediting -i\n")
        terminal.prompt()
        terminal.type(f"{t.victim('wait_here')}\n")
        terminal.expect(r"ready=\d+")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.prompt()
        terminal.foreground("wait_here\r\n")
        terminal.type("\x03")
        status_is(terminal, 130)
        terminal.type(f"cat | {t.victim('wait_here')}\n")
        terminal.expect(r"ready=\d+")
        terminal.type("\x03")
        status_is(terminal, 130)
        terminal.type("exit 6\n")
        status_is(terminal, 6)

    both_ways(t, steps)


@test
def hang_up(t: Context) -> None:
    """The terminal goes away: the job ends by SIGHUP, and nothing is left."""
    for run in ("", " ".join(map(shlex.quote, t.supervise())) + " "):
        terminal = shell(t)
        terminal.type(f"{run}{t.victim('wait_here')}\n")
        program = int(terminal.expect(r"ready=(\d+)")[1])
        terminal.hang_up()
        end = time.monotonic() + 10
        while (stat_fields(program) or ["-"])[0] not in "-Z":
            if time.monotonic() > end:
                raise Failed(f"the program outlives its terminal ({'levelled' if run else 'bare'})")
            time.sleep(0.01)  # neither its parent nor its tracer: there is no event
