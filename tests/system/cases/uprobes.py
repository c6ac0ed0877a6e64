"""Uprobes (perf, bpftrace): the kernel puts a breakpoint into a program's text and executes what the file has there elsewhere."""

import contextlib
import json
import os
import pathlib
import re
import subprocess

from harness import Context, test

TRACING = pathlib.Path("/sys/kernel/tracing")


@contextlib.contextmanager
def tracing(t: Context):
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
def uprobe(t: Context, folder: pathlib.Path, victim: str, offset: int):
    """A probe at an offset of the file; gives a function that counts how often it was met."""

    def order(text: str) -> None:
        events = os.open(folder / "uprobe_events", os.O_WRONLY | os.O_APPEND)  # truncated it would lose everybody's
        try:
            os.write(events, text.encode() + b"\n")
        finally:
            os.close(events)

    try:
        order(f"p:cpulevel_test/probe {victim}:{offset:#x}")
    except OSError as error:
        t.skip(f"no uprobe can be set: {error}")
    event = folder / "events/cpulevel_test/probe"
    try:
        (event / "enable").write_text("1")
        yield lambda: (folder / "trace").read_text().count(" probe: (")
    finally:
        (event / "enable").write_text("0")
        order("-:cpulevel_test/probe")


def places(t: Context, victim: str) -> dict[str, int]:
    """File offsets of the first function's entry, and of the CPUID in the middle of the other."""
    text = subprocess.run([t.tool("objdump", "binutils"), "-d", victim], capture_output=True, text=True, check=True).stdout
    entry = int(re.search(r"^(\w+) <ask_at_entry>:", text, re.MULTILINE)[1], 16)
    others = [int(at, 16) for at in re.findall(r"^ +(\w+):\s.*\tcpuid", text, re.MULTILINE)]
    return {"entry": entry, "middle": next(at for at in others if not entry <= at < entry + 16)}  # text lies at its file offset


def is_levelled(word: str) -> bool:
    return int(word, 16) >> 5 & 1 == 0  # AVX2


@test
def set_while_it_runs(t: Context) -> None:
    """A probe at a function's entry, where CPUID follows at once, is met, and the program stays levelled."""
    victim = t.victim("probed")
    orders = t.scratch / "orders"
    os.mkfifo(orders)
    with tracing(t) as folder:
        run = t.start_levelled(victim, orders)
        with orders.open("w", buffering=1) as giving:
            giving.write("one\n")
            run.wait_for("middle1")
            with uprobe(t, folder, victim, places(t, victim)["entry"]) as met:
                before = met()
                giving.write("two\n")
                run.wait_for("middle2")
                t.equal(met() - before, 1, "how often the probe was met")
            giving.write("three\n")
        done = t.ok(run.wait())
    for fact in ("entry1", "entry2", "entry3", "middle1", "middle2", "middle3"):
        t.check(is_levelled(done.facts[fact]), f"{fact} shows AVX2: {done}")


@test
def set_before_on_the_instruction(t: Context) -> None:
    """A probe that stands on a CPUID before the program starts is left alone, and counted: the kernel executes that CPUID."""
    victim = t.victim("probed")
    report = t.scratch / "report.json"
    orders = t.scratch / "orders"
    orders.write_text("one\n")
    with tracing(t) as folder, uprobe(t, folder, victim, places(t, victim)["middle"]) as met:
        before = met()
        done = t.ok(t.levelled(victim, orders, options=("--report", report)))
        t.equal(met() - before, 1, "how often the probe was met")
    t.check(is_levelled(done.facts["entry1"]), str(done))
    data = json.loads(report.read_text())
    undecided = [program["undecided_sites"] for program in data["programs"]]
    t.check(data["cpuid_method"] == "CPUID faulting" or undecided == [1], f"undecided places: {undecided}")
