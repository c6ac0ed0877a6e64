#!/usr/bin/python3
"""`cpulevel dump`, `restore` and the action script, with a real CRIU: on this machine, and from it to an emulated Nehalem.

Needs what tests/travel needs (docs/travel.md), whose programs and places are used. One line for each case: `ok`, `FAILED` or
`SKIPPED (reason)`; the last line counts them. Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 it is not possible here
(1 with --require).
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path[:0] = [str(SOURCE / "tests/travel"), str(SOURCE / "tests/lab")]

import jsonschema  # noqa: E402
from lab.machines import X86_64  # noqa: E402
from lab.packages import Packages, Unavailable  # noqa: E402
from places import Kit, Stage, play_in_machine, play_natively  # noqa: E402
from travel import PLACES, Test, Verdicts, pack  # noqa: E402

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
    "locks": ("locks", LOW, "holds locks"),
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


def facts(lines: list[str]) -> tuple[dict[str, tuple[str, str, list[str]]], list[str]]:
    """By case: "ok" or "failed", why, and the lines that explain it; and what belongs to none."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    others: list[str] = []
    details: list[str] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("ok", "failed"):
            name, _, why = rest.partition(" ")
            details = []
            found[name] = (word, why, details)
        elif line.startswith("    "):
            details.append(line)
        else:
            others.append(line)
    return found, others


class Run:
    def __init__(self, build: pathlib.Path, packages: Packages, work: pathlib.Path) -> None:
        kit = pack(X86_64.name, build, packages)
        own = [*(build / "tests/checkpoint/bin" / name for name in ("detached", "holds")), *(HERE / name for name in CARRIED)]
        self.kit = Kit([*kit.programs, *own], kit.root)
        self.packages, self.work = packages, work
        self.verdicts = Verdicts()
        self.schema = jsonschema.Draft202012Validator(json.loads((SOURCE / "data/schema/checkpoint.schema.json").read_text()))

    def play(self, place: str, orders: list[str], luggage: dict[str, pathlib.Path], first_pid: int) -> tuple[dict, pathlib.Path]:
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        folder.chmod(0o755)
        stage = Stage(orders, luggage, first_pid, script=HERE / "stage.sh")
        if place == "native":
            report = play_natively(stage, self.kit, folder)
        else:
            report = play_in_machine(stage, self.kit, folder, PLACES[place], self.packages)
        found, others = facts(report.lines)
        for line in others:
            print(f"         {place}: {line}", flush=True)
        return found, report.work

    def judge(self, name: str, fact: tuple[str, str, list[str]] | None) -> bool:
        word, why, details = fact or ("failed", "nothing was said of it", [])
        if word != "ok":
            self.verdicts.add("FAILED", name, why, details)
        return word == "ok"

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
        travelling = [name for name in away if self.judge(name, found.get(name))]
        if not travelling and not emulated:
            return
        orders = [f"{verb} {name} {level} {program}" for name, (verb, level, program) in emulated.items()]
        orders += [f"{away[name][1]} {name} {away[name][2]} {away[name][3]}" for name in travelling]
        found, _ = self.play("nehalem", orders, {name: work / name for name in travelling}, 2 * FIRST_PID)
        for name in [*emulated, *travelling]:
            if self.judge(name, found.get(name)):
                self.verdicts.add("ok", name)


def has_level(build: pathlib.Path, level: str) -> bool:
    return os.system(f"'{build}/src/cli/cpulevel' run --level {level} -- true >/dev/null 2>&1") == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, metavar="FOLDER", help="build folder for x86-64")
    parser.add_argument("--case", default="", help="only these (comma-separated; parts of names)")
    parser.add_argument("--require", action="store_true", default=bool(os.environ.get("CPULEVEL_REQUIRE_LAB")),
                        help="it is a failure if it is not possible here (also: CPULEVEL_REQUIRE_LAB=1)")
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
            packages = Packages()
            run = Run(build, packages, pathlib.Path(work))
            trouble = Test([], {X86_64.name: run.kit}, packages, pathlib.Path(work), 1, Verdicts()).native_trouble()
            if trouble:
                raise Unavailable(f"CRIU does not work natively here: {trouble}")
        except Unavailable as missing:
            verdicts = Verdicts()
            verdicts.add("FAILED" if arguments.require else "SKIPPED", "checkpoint", f"it is not possible here: {missing}")
            return verdicts.finish() if arguments.require else verdicts.finish() or 77
        if any(case[2] == HIGH for case in away.values()) and not has_level(build, HIGH):
            run.verdicts.add("SKIPPED", "nehalem_lacks", f"this machine has not {HIGH} itself")
            away.pop("nehalem_lacks")
        run.run(natively, away, emulated)
        print(f"         {time.monotonic() - started:.0f} s")
        return run.verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
