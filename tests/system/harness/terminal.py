"""An interactive shell on a terminal of its own, typed at and read like a person does."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import fcntl
import termios
import time

from .case import Failed
from .process import stat_fields


class Terminal:
    PROMPT = "prompt>>"

    def __init__(self, *command: str, env: dict[str, str]):
        self._seen = ""  # everything so far
        self._from = 0  # where `expect` goes on
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], list(command), env | {"PS1": self.PROMPT})

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, pattern: str, timeout: float = 15) -> re.Match:
        """Reads on until `pattern` has been printed since the last expected thing."""
        end = time.monotonic() + timeout
        while not (match := re.search(pattern, self._seen[self._from :])):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                raise Failed(f"the terminal does not show {pattern!r} within {timeout} s\n{self.transcript()}")
            try:
                self._seen += os.read(self._fd, 4096).decode(errors="replace")
            except OSError:  # the other side has ended
                raise Failed(f"the shell ended before it showed {pattern!r}\n{self.transcript()}") from None
        self._from += match.end()
        return match

    def command(self, line: str) -> None:
        """Types a line at the prompt; the echo is not taken for output."""
        self.type(line + "\n")
        self.expect(re.escape(line[-20:]) + r"\r\n")

    def prompt(self) -> None:
        self.expect(re.escape(self.PROMPT))

    def foreground(self, echo: str) -> None:
        """Types `fg` and waits until the job has the terminal and runs: keys typed before would be the shell's."""
        shell = os.tcgetpgrp(self._fd)
        self.type("fg\n")
        self.expect(echo)
        end = time.monotonic() + 10
        while (group := os.tcgetpgrp(self._fd)) == shell or (stat_fields(group) or ["-"])[0] in "Tt":
            if time.monotonic() > end:
                raise Failed(f"the job does not come to the foreground\n{self.transcript()}")
            time.sleep(0.005)  # a change of the foreground group is no event

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def transcript(self) -> str:
        return "--- terminal\n" + self._seen.replace("\r\n", "\n")

    def hang_up(self) -> None:
        os.close(self._fd)
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        os.close(self._fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
