"""Running programs: with raw wait statuses (subprocess hides the core flag), time limits, and no leftovers."""

from __future__ import annotations

import ctypes
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .case import Failed

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def set_no_new_privileges() -> None:
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def become_subreaper() -> None:
    """Orphans of this process's descendants come to it, so that none can be overlooked."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def become_user(uid: int) -> Callable[[], None]:
    def become() -> None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

    return become


def describe_status(status: int) -> str:
    if os.WIFSIGNALED(status):
        core = " (core dumped)" if os.WCOREDUMP(status) else ""
        return f"killed by signal {os.WTERMSIG(status)}{core}"
    return f"exit status {os.WEXITSTATUS(status)}"


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    command: Sequence[str]
    status: int  # as wait(2) has it
    out: str
    err: str  # of the program alone: lines of cpulevel itself are in `messages`
    messages: str = ""
    facts: dict[str, str] = field(default_factory=dict)  # the lines `key=value` of `out`

    @property
    def exit(self) -> int | None:
        return os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None

    @property
    def signal(self) -> int | None:
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None

    def __str__(self) -> str:
        text = f"{' '.join(self.command)}: {describe_status(self.status)}"
        for name, stream in (("output", self.out), ("errors", self.err), ("messages", self.messages)):
            if stream.strip():
                text += f"\n--- {name}\n{shorten(stream.rstrip())}"
        return text

    def number(self, fact: str) -> int:
        if fact not in self.facts:
            raise Failed(f"no {fact}= in the output of {self}")
        return int(self.facts[fact], 0)


def shorten(text: str, lines: int = 40) -> str:
    all_lines = text.split("\n")
    if len(all_lines) <= lines:
        return text
    return "\n".join(all_lines[: lines // 2] + [f"... {len(all_lines) - lines} lines ..."] + all_lines[-lines // 2 :])


def finished(command: Sequence[str], status: int, out: str, err: str) -> Finished:
    is_ours = re.compile(r"(?m)^cpulevel: .*\n?(?:^(?: {2,}|hint: ).*\n?)*")  # what belongs to the message above
    facts = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    return Finished(command, status, out, is_ours.sub("", err), "".join(is_ours.findall(err)), facts)


class Running:
    """A program that has been started in a session of its own; its output can be read line by line."""

    def __init__(self, command: Sequence[str], *, env=None, cwd=None, preexec=None, input: str | None = None,
                 pass_fds=()):
        self.command = [str(word) for word in command]
        self._err = tempfile.TemporaryFile()
        self._out = tempfile.TemporaryFile()
        self._stdin = tempfile.TemporaryFile() if input is not None else None
        if self._stdin is not None:
            self._stdin.write(input.encode())
            self._stdin.seek(0)
        # Output goes to files: descendants that live on must not keep anybody waiting for the end of a pipe.
        self._process = subprocess.Popen(
            self.command, stdin=self._stdin or subprocess.DEVNULL, stdout=self._out, stderr=self._err, env=env,
            cwd=cwd, preexec_fn=preexec, start_new_session=True, pass_fds=pass_fds)
        self.pid = self._process.pid
        self.status: int | None = None

    @staticmethod
    def _text(file) -> str:
        return os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace")

    @property
    def out(self) -> str:
        return self._text(self._out)

    @property
    def err(self) -> str:
        return self._text(self._err)

    def wait_for(self, pattern: str, timeout: float = 20) -> re.Match:
        """Waits until the output so far matches `pattern`."""
        end = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.out, re.MULTILINE)
            if match:
                return match
            if self.status is None and self._poll():
                match = re.search(pattern, self.out, re.MULTILINE)
                if match:
                    return match
            if self.status is not None:
                raise Failed(f"ended before it printed {pattern!r}: {self.so_far()}")
            if time.monotonic() > end:
                raise Failed(f"did not print {pattern!r} in {timeout} s: {self.so_far()}")
            time.sleep(0.01)  # a file gives no event

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def _poll(self, options: int = os.WNOHANG) -> bool:
        pid, status = os.waitpid(self.pid, options)
        if pid == self.pid:
            self.status = status
            self._process.returncode = 0  # so that subprocess does not wait for it
        return self.status is not None

    def wait(self, timeout: float = 60) -> Finished:
        if self.status is None:
            with os.fdopen(os.pidfd_open(self.pid)) as pidfd:
                if not select.select([pidfd], [], [], timeout)[0]:
                    raise Failed(f"did not end in {timeout} s: {self.so_far()}\n{process_table(self.pid)}")
            # It has ended; where somebody else traces it, its end is ours only when the tracer has seen it.
            self._poll(0)
        return finished(self.command, self.status, self.out, self.err)

    def so_far(self) -> str:
        status = "still running" if self.status is None else describe_status(self.status)
        return f"{' '.join(self.command)} ({status})\n--- output\n{shorten(self.out)}\n--- errors\n{shorten(self.err)}"


def stat_fields(pid: int) -> list[str] | None:
    """/proc/PID/stat from the state on (index 0: state, 1: parent), or None if there is no such process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat_fields(int(entry))):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def process_table(root: int) -> str:
    """For people: what the processes below `root` are and where they hang."""
    lines = []
    for pid in [root, *descendants(root)]:
        fields = stat_fields(pid)
        if fields is None:
            continue
        try:
            name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = pathlib.Path(f"/proc/{pid}/wchan").read_text()
        except OSError:
            name, where = "?", "?"
        lines.append(f"  {pid} {fields[0]} parent {fields[1]} in {where}: {name[:100]}")
    return "\n".join(["processes:", *lines])


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def end_leftovers(grace: float = 3) -> str:
    """Kills what is left below this process, after a time of grace. Returns a description of what had to be killed."""
    end = time.monotonic() + grace
    while True:
        reap()
        left = descendants(os.getpid())
        if not left:
            return ""
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    description = process_table(os.getpid())
    for _ in range(100):  # while they fork
        left = descendants(os.getpid())
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
        reap()
    return description
