#!/usr/bin/python3
"""The proof: checkpoints made here are restored on other CPUs, and go on. docs/travel.md is the manual.

Programs that check their own results are started under a level, dumped by CRIU and restored on machines of other CPU models
(emulated by QEMU), down, up and on; the same programs without a level are the control, and the test fails if one survives.
One line for each journey: `ok`, `FAILED` or `SKIPPED (reason)`; the last line counts them.
Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 it is not possible here (1 with --require).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "lab"))

from journeys import NATIVE, Journey, aarch64, x86_64  # noqa: E402
from lab.machines import ARCHITECTURES, ARM64, ARM_SVE, EPYC, MACHINES, X86_64  # noqa: E402
from lab.packages import Packages, Unavailable  # noqa: E402
from places import Kit, Report, Stage, play_in_machine, play_natively  # noqa: E402

PLACES = {machine.name: machine for machine in [*MACHINES, EPYC, ARM_SVE]}
SECONDS = 60  # that a restored traveller may take to its end, in an emulated machine
PIDS = 2500  # of one stage
State = tuple[str, tuple[str, ...]]  # a departure, and where it has been


class Verdicts:
    def __init__(self) -> None:
        self.counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}

    def add(self, verdict: str, name: str, why: str = "", details: list[str] | None = None) -> None:
        self.counts[verdict] += 1
        print(f"{verdict:8} {name}" + (f" ({why})" if why else ""), flush=True)
        for line in details or []:
            print(f"    | {line.strip()}", flush=True)

    def finish(self) -> int:
        print(f"{self.counts['ok']} passed, {self.counts['FAILED']} failed, {self.counts['SKIPPED']} skipped")
        return 1 if self.counts["FAILED"] else 0


class Facts:
    """What a stage said: by traveller, a word, the rest of the line, and the lines that explain it."""

    def __init__(self, report: Report) -> None:
        self.of: dict[str, tuple[str, str, list[str]]] = {}
        self.others: list[str] = []
        details: list[str] = []
        for line in report.lines:
            word, _, rest = line.partition(" ")
            if word in ("departed", "passed", "arrived", "failed"):
                name, _, what = rest.partition(" ")
                details = []
                self.of[name] = (word, what, details)
            elif line.startswith("    "):
                details.append(line)
            else:
                self.others.append(line)


class Test:
    def __init__(self, journeys: list[Journey], kits: dict[str, Kit], packages: Packages, work: pathlib.Path, jobs: int,
                 verdicts: Verdicts) -> None:
        self.open = journeys
        self.kits, self.packages, self.work, self.jobs = kits, packages, work, jobs
        self.states: dict[State, pathlib.Path] = {}
        self.verdicts = verdicts
        self.stages = 0

    def play(self, place: str, stage: Stage) -> Report:
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        folder.chmod(0o755)
        if place == NATIVE:
            return play_natively(stage, self.kits[X86_64.name], folder)
        return play_in_machine(stage, self.kits[PLACES[place].architecture.name], folder, PLACES[place], self.packages)

    def stage_for(self, place: str, steps: list[tuple[Journey, int]]) -> tuple[Stage, dict[State, tuple[Journey, int]]]:
        """Those who arrive come first: then no process of ours has a pid that they need."""
        self.stages += 1
        orders: dict[int, list[str]] = {0: [], 1: [], 2: []}
        luggage: dict[str, pathlib.Path] = {}
        known: dict[State, tuple[Journey, int]] = {}
        for journey, stop in steps:
            state = (journey.departure, journey.stops[: stop + 1])
            if state in known:
                continue
            known[state] = (journey, stop)
            if stop == 0:
                command = " ".join(word if word.startswith(("/", "-")) else f"/travel/bin/{word}" for word in journey.traveller.command)
                orders[2].append(f"depart {journey.departure} {journey.level} {command}")
                continue
            luggage[journey.departure] = self.states[(journey.departure, journey.stops[:stop])]
            last = stop == len(journey.stops) - 1
            orders[0 if last else 1].append(f"arrive {journey.departure} {SECONDS}" if last else f"pass {journey.departure}")
        return Stage(orders[0] + orders[1] + orders[2], luggage, PIDS * self.stages), known

    def judge(self, journey: Journey, what: str, details: list[str]) -> None:
        became, _, last_words = what.partition("; ")
        passed = became == "exit 0" and last_words == "passed"
        told = became if became.startswith("exit 0") else f"{became}, its last words: {last_words}"
        if journey.levelled:
            self.verdicts.add("ok" if passed else "FAILED", journey.name, "" if passed else told, [] if passed else details)
        elif became.startswith("refused") and any("Unable to detach" in line and "No such process" in line for line in details):
            # CRIU lets the threads go one by one: the first had run, and died of it, before the last was let go.
            self.verdicts.add("ok", journey.name, "unlevelled it dies before CRIU has let its last thread go")
        elif became.startswith("refused") and not any("cpu" in line.lower() or "xsave" in line.lower() for line in details):
            self.verdicts.add("FAILED", journey.name, f"the control was not restored, and not for its CPU's sake: {told}", details)
        elif passed or became == "late":
            self.verdicts.add("FAILED", journey.name, f"the control survived: {told}; so the journey shows nothing")
        else:
            self.verdicts.add("ok", journey.name, f"unlevelled it ends by {became}")

    def round(self, number: int) -> None:
        by_place: dict[str, list[tuple[Journey, int]]] = {}
        for journey in self.open:
            if number < len(journey.stops):
                by_place.setdefault(journey.stops[number], []).append((journey, number))
        prepared = {place: self.stage_for(place, steps) for place, steps in by_place.items()}
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            running = {pool.submit(self.play, place, stage): place for place, (stage, _) in prepared.items()}
            for done in concurrent.futures.as_completed(running):
                self.take(running[done], by_place[running[done]], done.result())

    def take(self, place: str, steps: list[tuple[Journey, int]], report: Report) -> None:
        facts = Facts(report)
        for line in facts.others:
            print(f"         {place}: {line}" if not line.startswith("time ") else f"         {line[5:]}", flush=True)
        for journey, stop in steps:
            word, what, details = facts.of.get(journey.departure, ("failed", "nothing was said of it", []))
            if stop == len(journey.stops) - 1 and word == "arrived":
                self.judge(journey, what, details)
                self.open.remove(journey)
            elif word in ("departed", "passed"):
                self.states[(journey.departure, journey.stops[: stop + 1])] = report.work / journey.departure
            else:
                self.verdicts.add("FAILED", journey.name, f"at {place}: {what}", details)
                self.open.remove(journey)

    def run(self) -> None:
        for number in range(max(len(journey.stops) for journey in self.open)):
            if self.open:
                self.round(number)

    def native_trouble(self) -> str:
        """Why CRIU does not work natively here, found by doing; empty if it does."""
        if os.geteuid() != 0:
            return "only root can dump"
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        folder.chmod(0o755)
        first = Facts(play_natively(Stage(["depart trial - /travel/bin/strings"], {}, 500), self.kits[X86_64.name], folder / "1"))
        word, what, details = first.of.get("trial", ("failed", " ".join(first.others), []))
        if word == "departed":
            second = Facts(play_natively(Stage([f"arrive trial {SECONDS}"], {"trial": folder / "1/work/trial"}, 5000),
                                         self.kits[X86_64.name], folder / "2"))
            word, what, details = second.of.get("trial", ("failed", " ".join(second.others), []))
            if what == "exit 0; passed":
                return ""
        return " ".join([what, *(line.strip() for line in details)])


def criu_root(architecture: str, kind: str = "criu") -> pathlib.Path:
    made = subprocess.run([SOURCE / "tools" / "criu_root.sh", architecture, kind], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False)
    if made.returncode != 0:
        raise Unavailable(made.stderr.strip().replace("\n", " "))
    return pathlib.Path(made.stdout.strip())


def pack(architecture: str, build: pathlib.Path, packages: Packages) -> Kit:
    kind = ARCHITECTURES[architecture]
    if not (build / "src/cli/cpulevel").is_file():
        raise Unavailable(f"there is no cpulevel in {build}")
    packages.kernel(kind.debian)
    packages.unpacked("busybox-static", kind.debian)
    if shutil.which(kind.qemu) is None:
        raise Unavailable(f"{kind.qemu} is not installed (Debian: {kind.qemu_package})")
    programs = [build / "src/cli/cpulevel", *sorted((build / "tests/travel/bin").iterdir()), HERE / "travellers/python.py"]
    return Kit(programs, criu_root(kind.debian))


def build_folder(text: str) -> tuple[str, pathlib.Path]:
    architecture, colon, folder = text.partition(":")
    if not colon or architecture not in JOURNEYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(JOURNEYS)}, a colon, and a build folder")
    return architecture, pathlib.Path(folder).resolve()


JOURNEYS = {X86_64.name: x86_64, ARM64.name: aarch64}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=build_folder, action="append", required=True, metavar="ARCHITECTURE:FOLDER",
                        help="a build folder; several: x86_64:build/release aarch64:build/aarch64")
    parser.add_argument("--journey", default="", help="only these (comma-separated; parts of names)")
    parser.add_argument("--no-native", action="store_true", help="only between emulated machines")
    parser.add_argument("--require", action="store_true", default=bool(os.environ.get("CPULEVEL_REQUIRE_LAB")),
                        help="it is a failure if it is not possible here (also: CPULEVEL_REQUIRE_LAB=1)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="machines at a time")
    parser.add_argument("--list", action="store_true", help="print the journeys and end")
    arguments = parser.parse_args()
    builds = dict(arguments.build)
    parts = arguments.journey.split(",")
    chosen = {architecture: [journey for journey in JOURNEYS[architecture]() if any(part in journey.name for part in parts)]
              for architecture in builds}
    journeys = [journey for some in chosen.values() for journey in some]
    if arguments.list:
        print("\n".join(f"{journey.name} ({journey.level})" for journey in journeys))
        return 0
    if not journeys:
        parser.error("no journey is left; see --list")
    started = time.monotonic()
    verdicts = Verdicts()
    kits = {}
    packages = Packages()
    for architecture, build in builds.items():
        try:
            if chosen[architecture]:
                kits[architecture] = pack(architecture, build, packages)
        except Unavailable as missing:
            verdicts.add("FAILED" if arguments.require else "SKIPPED", architecture, f"it is not possible here: {missing}")
    journeys = [journey for architecture in kits for journey in chosen[architecture]]
    if not journeys:
        return verdicts.finish() or 77
    with tempfile.TemporaryDirectory(prefix="cpulevel-travel-") as work:
        test = Test(journeys, kits, packages, pathlib.Path(work), arguments.jobs, verdicts)
        trouble = "it was asked for: --no-native" if arguments.no_native else ""
        if not trouble and any(NATIVE in journey.stops for journey in journeys):
            trouble = test.native_trouble()
        if trouble:
            for journey in [journey for journey in test.open if NATIVE in journey.stops]:
                test.verdicts.add("SKIPPED", journey.name, f"CRIU does not work natively here: {trouble}")
                test.open.remove(journey)
        if test.open:
            test.run()
        print(f"         {time.monotonic() - started:.0f} s")
        return test.verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
