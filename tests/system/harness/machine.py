"""What this machine can do, found out by doing."""

from __future__ import annotations

import errno
import functools
import os
import pathlib
import shutil
import subprocess

VICTIMS = pathlib.Path()  # set by run_tests.py


@functools.cache
def cpuid_faulting() -> str:
    """Empty if CPUID faulting works here, otherwise why not."""
    probe = subprocess.run([VICTIMS / "probe_faulting"], capture_output=True, text=True, timeout=20)
    return "" if probe.returncode == 0 else (probe.stdout.strip() or f"probe_faulting: status {probe.returncode}")


@functools.cache
def tool(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@functools.cache
def not_built() -> dict[str, str]:
    file = VICTIMS / "not_built.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split(": ", 1) for line in lines)


@functools.cache
def runs(program: str) -> str:
    """Empty if the kernel executes this kind of program (32-bit ones it may not), otherwise why not."""
    try:
        # Whether it is executed is known when Popen returns; it need not run to its end.
        with subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
            started.kill()
    except OSError as error:
        return "" if error.errno != errno.ENOEXEC else f"this kernel executes no such programs ({error.strerror})"
    return ""


def works(*command: str) -> str:
    """Empty if `command` succeeds here, otherwise what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"{command[0]}: status {done.returncode}")
