#!/usr/bin/python3
"""`cpulevel dump`, `restore` and the action script, with a real CRIU: on this machine, and from it to an emulated Nehalem.

Needs what tests/travel needs (docs/travel.md), whose programs and places are used. One line for each case: `ok`, `FAILED` or
`SKIPPED (reason)`; the last line counts them. Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 it is not possible here
(1 with --require).
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path[:0] = [str(SOURCE / "tests/travel"), str(SOURCE / "tests/lab")]

import jsonschema  # noqa: E402
from cases import Cases, has_level, not_possible, parser_of  # noqa: E402
from lab.machines import X86_64  # noqa: E402
from lab.packages import Packages, Unavailable  # noqa: E402
from places import Kit  # noqa: E402
from travel import pack  # noqa: E402

LOW, HIGH = "x86-64-v2-mtrr", "x86-64-v3-mtrr"
NATIVE = {  # name: verb, level, program
    "there_and_back": ("there_and_back", LOW, "strings"),
    "handler": ("there_and_back", LOW, "handler"),
    "leave_running": ("leave_running", LOW, "threads"),
    "by_front": ("by_front", LOW, "threads"),
    "let_go_before": ("let_go_before", LOW, "threads"),
    "criu_fails": ("criu_fails", LOW, "threads"),
    "unfit": ("unfit", LOW, "strings"),
    "damaged": ("damaged", LOW, "strings"),
    "script": ("script", LOW, "threads"),
    "stopped": ("stopped", LOW, "threads"),
    "bare": ("bare", "-", "strings"),
    "inside": ("inside", LOW, "threads"),
    "unix": ("unix", LOW, "holds unix"),
    "terminal": ("terminal", LOW, "holds terminal"),
    "wait": ("wait_for_handler", LOW, "holds handler"),
    "frozen": ("frozen", LOW, "threads"),
    "killed": ("killed", LOW, "threads"),
    "interrupted": ("interrupted", LOW, "threads"),
    "locks": ("locks", LOW, "holds locks"),
    "namespace": ("namespace", LOW, "holds orphan"),
    "zombie": ("zombie", LOW, "holds zombie"),
}
# There and back on the emulated machine, whose kernel is 6.1: CRIU before 4.2 cannot dump network sockets on Linux 6.16 and later.
EMULATED = {
    "tcp": ("tcp", LOW, "holds tcp"),
}
AWAY = {  # name: verbs here and there, level, program
    "nehalem": ("depart", "arrive", LOW, "threads"),
    "nehalem_inside": ("depart_inside", "arrive_inside", LOW, "strings"),
    "nehalem_lacks": ("depart", "refused", HIGH, "avx2"),
}
CARRIED = ("stage_options.sh", "stays_behind.py", "terminal.py")  # beside the programs
FIRST_PID = 3000


class Run(Cases):
    def __init__(self, build: pathlib.Path, packages: Packages, work: pathlib.Path) -> None:
        kit = pack(X86_64.name, build, packages)
        own = [*(build / "tests/checkpoint/bin" / name for name in ("detached", "holds")), *(HERE / name for name in CARRIED)]
        super().__init__(HERE / "stage.sh", Kit([*kit.programs, *own], kit.root), packages, work)
        self.schema = jsonschema.Draft202012Validator(json.loads((SOURCE / "data/schema/checkpoint.schema.json").read_text()))

    def run(self, natively: dict, away: dict, emulated: dict) -> None:
        orders = [f"{verb} {name} {level} {program}" for name, (verb, level, program) in natively.items()]
        orders += [f"{here} {name} {level} {program}" for name, (here, _, level, program) in away.items()]
        found, work = self.play("native", orders, {}, FIRST_PID) if orders else ({}, self.work)
        for record in sorted(work.glob("*/images/cpulevel.json")):
            for wrong in self.schema.iter_errors(json.loads(record.read_text())):
                self.verdicts.add("FAILED", f"{record.parent.parent.name}: cpulevel.json", wrong.message[:300])
        for name in natively:
            if self.judge(name, found.get(name)):
                self.verdicts.add("ok", name)
        self.arrive("nehalem", away, found, work, 2 * FIRST_PID, emulated)


def main() -> int:
    parser = parser_of(__doc__)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    wanted = lambda name: any(part in name for part in arguments.case.split(","))  # noqa: E731
    natively = {name: case for name, case in NATIVE.items() if wanted(name)}
    away = {name: case for name, case in AWAY.items() if wanted(name)}
    emulated = {name: case for name, case in EMULATED.items() if wanted(name)}
    if not natively and not away and not emulated:
        parser.error("no case is left")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cpulevel-checkpoint-") as work:
        try:
            run = Run(build, Packages(), pathlib.Path(work))
            run.require_criu()
        except Unavailable as missing:
            return not_possible("checkpoint", missing, arguments.require)
        if any(case[2] == HIGH for case in away.values()) and not has_level(build, HIGH):
            run.verdicts.add("SKIPPED", "nehalem_lacks", f"this machine has not {HIGH} itself")
            away.pop("nehalem_lacks")
        run.run(natively, away, emulated)
        print(f"         {time.monotonic() - started:.0f} s")
        return run.verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
