"""Uprobes of the kernel: a place in a program's file, and how often it was met. They need root, and tracefs."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterator

from .context import Context

TRACING = pathlib.Path("/sys/kernel/tracing")


@contextlib.contextmanager
def tracing(t: Context) -> Iterator[pathlib.Path]:
    """tracefs, mounted for as long as it is needed where it is not."""
    t.need_root()
    if (TRACING / "uprobe_events").exists():
        yield TRACING
        return
    folder = t.scratch / "tracing"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        t.skip(f"tracefs cannot be mounted: {mounted.stderr.strip()}")
    try:
        if not (folder / "uprobe_events").exists():
            t.skip("this kernel has no uprobe events")
        yield folder
    finally:
        subprocess.run(["umount", folder], check=False)


@contextlib.contextmanager
def uprobe(t: Context, program: str | pathlib.Path, offset: int) -> Iterator[Callable[[], int]]:
    """A probe at an offset of the file; gives a function that tells how often it was met."""
    name = f"cpulevel_{os.getpid()}"
    with tracing(t) as folder:

        def order(text: str) -> None:
            events = os.open(folder / "uprobe_events", os.O_WRONLY | os.O_APPEND)  # truncated it would lose everybody's
            try:
                os.write(events, text.encode() + b"\n")
            finally:
                os.close(events)

        def met() -> int:
            """ "FILE EVENT HITS" each """
            lines = [line.split() for line in (folder / "uprobe_profile").read_text().splitlines()]
            return next(int(words[-1]) for words in lines if words[-2] == name)

        try:
            order(f"p:cpulevel/{name} {program}:{offset:#x}")
        except OSError as error:
            t.skip(f"no uprobe can be set: {error}")
        event = folder / "events/cpulevel" / name / "enable"
        try:
            event.write_text("1")
            yield met
        finally:
            event.write_text("0")
            order(f"-:cpulevel/{name}")


def offset_of(program: str | pathlib.Path, address: int) -> int:
    """Where in the file an address as linked is."""
    lines = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True, check=True).stdout.splitlines()
    for line in lines:
        load = re.match(r"\s*LOAD\s+(0x\w+)\s+(0x\w+)\s+0x\w+\s+(0x\w+)", line)
        if load:
            offset, start, size = (int(word, 16) for word in load.groups())
            if start <= address < start + size:
                return address - start + offset
    raise LookupError(f"{program} has no {address:#x}")
