"""Stages that are made of cases (cases.sh): what they say, and their verdicts. For tests/checkpoint and tests/container."""

from __future__ import annotations

import argparse
import os
import pathlib
import tempfile

from lab.machines import X86_64
from lab.packages import Packages, Unavailable
from places import Kit, Stage, play_in_machine, play_natively
from travel import NATIVE, PLACES, Test, Verdicts

Fact = tuple[str, str, list[str]]  # "ok" or "failed", why, and the lines that explain it


def facts(lines: list[str]) -> tuple[dict[str, Fact], list[str]]:
    """By case; and what belongs to none."""
    found: dict[str, Fact] = {}
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


class Cases:
    def __init__(self, script: pathlib.Path, kit: Kit, packages: Packages, work: pathlib.Path) -> None:
        self.script, self.kit, self.packages, self.work = script, kit, packages, work
        self.verdicts = Verdicts()

    def require_criu(self) -> None:
        """Raises Unavailable where CRIU does not work on this machine."""
        trouble = Test([], {X86_64.name: self.kit}, self.packages, self.work, 1, Verdicts()).native_trouble()
        if trouble:
            raise Unavailable(f"CRIU does not work natively here: {trouble}")

    def play(self, place: str, orders: list[str], luggage: dict[str, pathlib.Path],
             first_pid: int) -> tuple[dict[str, Fact], pathlib.Path]:
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        folder.chmod(0o755)
        stage = Stage(orders, luggage, first_pid, script=self.script)
        if place == NATIVE:
            report = play_natively(stage, self.kit, folder)
        else:
            report = play_in_machine(stage, self.kit, folder, PLACES[place], self.packages)
        found, others = facts(report.lines)
        for line in others:
            print(f"         {place}: {line}", flush=True)
        if "-" in found:  # what failed belongs to no case
            self.judge(place, found["-"])
        return found, report.work

    def judge(self, name: str, fact: Fact | None) -> bool:
        word, why, details = fact or ("failed", "nothing was said of it", [])
        if word != "ok":
            self.verdicts.add("FAILED", name, why, details)
        return word == "ok"

    def arrive(self, place: str, away: dict[str, tuple[str, str, str, str]], found: dict[str, Fact], work: pathlib.Path,
               first_pid: int, only_there: dict[str, tuple[str, str, str]] | None = None) -> None:
        """Those who have departed go there, in one boot. `away`: by name, the verbs here and there, level, program; `only_there`: a verb
        alone."""
        travelling = [name for name in away if self.judge(name, found.get(name))]
        others = only_there or {}
        if not travelling and not others:
            return
        orders = [f"{verb} {name} {level} {program}" for name, (verb, level, program) in others.items()]
        orders += [f"{away[name][1]} {name} {away[name][2]} {away[name][3]}" for name in travelling]
        found, _ = self.play(place, orders, {name: work / name for name in travelling}, first_pid)
        for name in [*others, *travelling]:
            if self.judge(name, found.get(name)):
                self.verdicts.add("ok", name)


def has_level(build: pathlib.Path, level: str) -> bool:
    """Whether this machine has it itself."""
    return os.system(f"'{build}/src/cli/cpulevel' run --level {level} -- true >/dev/null 2>&1") == 0


def parser_of(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, metavar="FOLDER", help="build folder for x86-64")
    parser.add_argument("--case", default="", help="only these (comma-separated; parts of names)")
    parser.add_argument("--require", action="store_true", default=bool(os.environ.get("CPULEVEL_REQUIRE_LAB")),
                        help="it is a failure if it is not possible here (also: CPULEVEL_REQUIRE_LAB=1)")
    return parser


def not_possible(what: str, missing: Unavailable, required: bool) -> int:
    """The exit status, when it has been said."""
    verdicts = Verdicts()
    verdicts.add("FAILED" if required else "SKIPPED", what, f"it is not possible here: {missing}")
    return verdicts.finish() if required else verdicts.finish() or 77
