#!/usr/bin/python3
"""terminal.py LEVEL: a job of an interactive shell on a terminal of its own is dumped and goes on at another terminal.

Each terminal is a pair of this program's, with bash on it as a user has it: with job control, in a session of its own. Works in the
current folder; says what was wrong, or nothing.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

SECONDS = 30


class Terminal:
    def __init__(self, name: str) -> None:
        self.name, self.text = name, ""
        self.shell, self.end = pty.fork()
        if self.shell == 0:
            os.environ["PS1"] = "READY> "
            os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
        self.expect("READY> ")

    def type(self, line: str) -> None:
        os.write(self.end, line.encode() + b"\n")

    def press(self, key: bytes) -> None:
        os.write(self.end, key)

    def expect(self, words: str) -> re.Match:
        """What is written, up to and with these words; each is looked at once."""
        until = time.monotonic() + SECONDS
        while not (found := re.search(words, self.text)):
            if not select.select([self.end], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError(f"{self.name}: nobody says {words!r}, but: {self.text[-600:]}")
            try:
                self.text += os.read(self.end, 4096).decode(errors="replace").replace("\r", "")
            except OSError as ended:
                raise AssertionError(f"{self.name}: ended before {words!r}: {self.text[-600:]}") from ended
        self.text = self.text[found.end():]
        return found

    def close(self) -> None:
        os.kill(self.shell, signal.SIGKILL)
        os.close(self.end)
        os.waitpid(self.shell, 0)


def check(is_so: bool, words: str) -> None:
    if not is_so:
        raise AssertionError(words)


def session_and_terminal(pid: int) -> tuple[int, str]:
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return int(words[3]), os.readlink(f"/proc/{pid}/fd/0")


def is_job_at(pid: int, terminal: Terminal) -> None:
    place = os.ptsname(terminal.end)
    found = session_and_terminal(pid)
    check(found == (terminal.shell, place), f"process {pid} is not of the session at {place}: {found}")


def started_and_dumped(level: str) -> int:
    """At one terminal; dumped from another one, as by an administrator."""
    first, other = Terminal("first"), Terminal("another")
    first.type(f"cpulevel run --level {level} -- holds terminal")
    job = int(first.expect(r"working (\d+)\n")[1])
    first.type("one")
    first.expect("heard one, 1\n")
    is_job_at(job, first)
    other.type(f"cpulevel dump {job} --images images; echo status $?")
    other.expect("status 0\n")
    first.expect("Killed")
    first.expect("READY> ")
    first.close()
    other.close()
    return job


def without_terminal() -> None:
    """CRIU needs one, and is not able to say so."""
    done = subprocess.run(["cpulevel", "restore", "images"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(done.returncode == 3 and "restore it at a terminal" in done.stderr, f"without a terminal: {done.returncode} {done.stderr}")


def goes_on(job: int) -> None:
    """It is the shell's job: in front, stopped, continued, dumped and left running, ended by its own end."""
    here, other = Terminal("second"), Terminal("third")
    here.type("cpulevel restore images")
    here.expect("every thread is supervised")
    here.expect("It goes on at this terminal")
    here.type("two")
    here.expect("heard two, 2\n")
    is_job_at(job, here)
    here.press(b"\x1a")
    here.expect("Stopped .*cpulevel restore images")
    here.type("fg")
    here.type("three")
    here.expect("heard three, 3\n")
    other.type(f"cpulevel dump {job} --images more --leave-running; echo status $?")
    other.expect("status 0\n")
    here.type("four")
    here.expect("heard four, 4\n")
    other.type(f"cpulevel status {job}")
    other.expect("supervisor")
    here.type("end")
    here.expect("READY> ")
    here.type("echo status $?")
    here.expect("status 7\n")
    here.close()
    other.close()


def is_interrupted(job: int) -> None:
    """Ctrl-C ends it, and the shell hears of that."""
    here = Terminal("fourth")
    here.type("cpulevel restore more")
    here.expect("every thread is supervised")
    here.type("four again")
    here.expect("heard four again, 4\n")
    here.press(b"\x03")
    here.expect("READY> ")
    here.type("echo status $?")
    here.expect("status 130\n")
    check(not os.path.exists(f"/proc/{job}"), "it is still there")
    here.close()


def main(level: str) -> None:
    job = started_and_dumped(level)
    without_terminal()
    goes_on(job)
    is_interrupted(job)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except AssertionError as wrong:
        # Whose turn it was, at whose terminal: without that, nobody can tell who waited for whom.
        states = subprocess.run(["ps", "-eo", "pid,ppid,pgid,tpgid,stat,wchan:16,args"], capture_output=True, text=True, check=False).stdout
        print(*(line for line in states.splitlines() if " holds " in line or "cpulevel restore" in line), sep="\n")
        sys.exit(str(wrong))
