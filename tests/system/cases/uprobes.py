"""Uprobes (perf, bpftrace): the kernel puts a breakpoint into a program's text and executes what the file has there elsewhere."""

import json
import os
import re
import subprocess

from harness import Context, test
from harness.uprobes import offset_of, uprobe


def places(t: Context, victim: str) -> dict[str, int]:
    """File offsets of the first function's entry, and of the CPUID in the middle of the other."""
    text = subprocess.run([t.tool("objdump", "binutils"), "-d", victim], capture_output=True, text=True, check=True).stdout
    entry = int(re.search(r"^(\w+) <ask_at_entry>:", text, re.MULTILINE)[1], 16)
    others = [int(at, 16) for at in re.findall(r"^ +(\w+):\s.*\tcpuid", text, re.MULTILINE)]
    return {"entry": offset_of(victim, entry), "middle": offset_of(victim, next(at for at in others if not entry <= at < entry + 16))}


def is_levelled(word: str) -> bool:
    return int(word, 16) >> 5 & 1 == 0  # AVX2


@test
def set_while_it_runs(t: Context) -> None:
    """A probe at a function's entry, where CPUID follows at once, is met, and the program stays levelled."""
    victim = t.victim("probed")
    orders = t.scratch / "orders"
    os.mkfifo(orders)
    run = t.start_levelled(victim, orders)
    with orders.open("w", buffering=1) as giving:
        giving.write("one\n")
        run.wait_for("middle1")
        with uprobe(t, victim, places(t, victim)["entry"]) as met:
            giving.write("two\n")
            run.wait_for("middle2")
            t.equal(met(), 1, "how often the probe was met")
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
    with uprobe(t, victim, places(t, victim)["middle"]) as met:
        done = t.ok(t.levelled(victim, orders, options=("--report", report)))
        t.equal(met(), 1, "how often the probe was met")
    t.check(is_levelled(done.facts["entry1"]), str(done))
    data = json.loads(report.read_text())
    undecided = [program["undecided_sites"] for program in data["programs"]]
    t.check(data["cpuid_method"] == "CPUID faulting" or undecided == [1], f"undecided places: {undecided}")
