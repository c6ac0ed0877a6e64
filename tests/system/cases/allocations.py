"""The supervisor's events: what comes a hundred thousand times must not ask for memory each time."""

import re
import shutil
import subprocess

from harness import Context, each
from harness.uprobes import offset_of, uprobe

LOOP = "trap : USR1; i=0; while [ $i -lt $1 ]; do kill -USR1 $$; i=$((i + 1)); done"
EVENTS = {  # a program with so many of one event, and nothing else that depends on the number
    "signals": lambda t, count: ((), ["bash", "-c", LOOP, "bash", count]),
    "traps": lambda t, count: (("--trap-only",), [t.victim("print_cpuid"), *["7"] * count]),
}


@each(*EVENTS)
def none_per_event(t: Context, event: str) -> None:
    """Counted by a probe on malloc of the executable itself, of which this is a copy that nobody else runs."""
    program = t.scratch / "cpulevel"
    shutil.copy2(t.cpulevel, program)
    symbols = subprocess.run([t.tool("nm", "binutils"), program], capture_output=True, text=True, check=True).stdout
    if "__asan_init" in symbols or "__tsan_init" in symbols:
        t.skip("a sanitizer has an allocator of its own")
    malloc = re.search(r"^(\w+) [tTW] malloc$", symbols, re.MULTILINE)
    t.check(malloc, "the executable has no malloc")

    def allocations(count: int) -> int:
        options, command = EVENTS[event](t, count)
        with uprobe(t, program, offset_of(program, int(malloc[1], 16))) as met:
            t.ok(t.bare(program, "run", "--level", t.level, *options, "--", *command))
            return met()

    few, many = allocations(100), allocations(1100)
    t.check(few > 0, "nothing was counted")
    t.check(abs(many - few) < 100, f"{many - few} more allocations for 1000 more {event}")
