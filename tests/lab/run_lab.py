#!/usr/bin/python3
"""Runs the cases of cases/ inside emulated machines of other CPU models and architectures (QEMU, no hardware help).

One line for each result: `ok`, `FAILED` or `SKIPPED (reason)`; the last line counts them. docs/lab.md is the manual.
Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 the lab is not possible here (1 with --require).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(HERE))

from lab.boot import BOOT_SECONDS, MEMORY_MEGABYTES, BootResult, boot, build_initramfs  # noqa: E402
from lab.case import BadCase, Case, read_cases  # noqa: E402
from lab.machines import FLEET_OPTIONS, FLEETS, MACHINES, Machine  # noqa: E402
from lab.nested import OUTER_MEGABYTES, SET_XCR0, SILENCE_SECONDS, firmware, outer_initramfs  # noqa: E402
from lab.packages import Packages, Unavailable  # noqa: E402

VERDICTS = ("ok", "FAILED", "SKIPPED")


class Report:
    def __init__(self) -> None:
        self.counts = dict.fromkeys(VERDICTS, 0)

    def add(self, verdict: str, name: str, why: str = "") -> None:
        self.counts[verdict] += 1
        print(f"{verdict:8} {name}" + (f" ({why})" if why else ""), flush=True)

    def add_boot(self, machine: Machine, cases: list[Case], result: BootResult) -> None:
        seen = {found.case: found for found in result.cases}
        broken = not result.finished
        for case in cases:
            name = f"{machine.name}.{case.name}"
            found = seen.get(case.name)
            if found is None:
                self.add("FAILED", name, "the machine did not come to it")
                broken = True
                continue
            verdicts = 0
            bad = False
            for line in found.lines:
                verdict, _, rest = line.partition(" ")
                if verdict in VERDICTS and rest:
                    label, _, why = rest.partition(" ")
                    verdicts += 1
                    bad |= verdict == "FAILED"
                    self.add(verdict, f"{name}.{label}", why.strip(" ()") if verdict == "SKIPPED" else why.strip())
            if found.status != 0:
                ended = "did not end" if found.status is None else f"ended with status {found.status}"
                self.add("FAILED", name, f"the case {ended}" + (f" (its limit is {case.seconds} s)"
                                                                  if found.status in (None, 124, 143) else ""))
                bad = True
            elif verdicts == 0:
                self.add("FAILED", name, "the case printed no result")
                bad = True
            if bad:
                told = [line for line in found.lines if line.partition(" ")[0] not in VERDICTS]
                print("".join(f"    | {line}\n" for line in told), end="", flush=True)
        if broken:
            self.add("FAILED", f"{machine.name}.boot", f"not finished after {result.seconds:.0f} s; its last lines:")
            print("".join(f"    | {line}\n" for line in result.console.splitlines()[-30:]), end="", flush=True)
        else:
            print(f"         {machine.name}: {result.seconds:.1f} s from start to power-off", flush=True)


def run_round(machines: list[Machine], cases: list[Case], builds: dict[str, pathlib.Path], packages: Packages,
              report: Report, jobs: int, extra: dict[str, dict[str, bytes]], keep: pathlib.Path | None) -> dict[str, BootResult]:
    """Boots each machine that has a case; `extra` are data files by architecture."""
    def one(machine: Machine) -> tuple[list[Case], BootResult] | None:
        wanted = [case for case in cases if case.runs_on(machine)]
        if not wanted:
            return None
        architecture = machine.architecture
        image = build_initramfs(machine, wanted, builds[architecture.name], SOURCE, packages,
                                extra.get(architecture.name, {}))
        started = machine.inside or machine
        if machine.inside:
            image = outer_initramfs(machine, image, builds[architecture.name], packages)
        def start() -> BootResult:
            return boot(started, packages.kernel(architecture.debian, started.kernel), image,
                        BOOT_SECONDS + sum(case.seconds for case in wanted),
                        megabytes=OUTER_MEGABYTES if machine.inside else MEMORY_MEGABYTES,
                        silence=SILENCE_SECONDS if machine.inside else None)

        result = start()
        if machine.inside and not result.finished:
            # No program can stop a kernel: that is the emulation's. It is told, and tried once more.
            print(f"         {machine.name}: stood still after {result.seconds:.0f} s, started again; its last lines:")
            print("".join(f"    | {line}\n" for line in result.console.splitlines()[-10:]), end="", flush=True)
            result = start()
        if keep:
            (keep / f"{machine.name}.console").write_text(result.console)
            for name, data in result.files.items():
                (keep / f"{machine.name}.{name}").write_bytes(data)
        return wanted, result

    results = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        # A machine inside of another takes longest: it goes first, so that nobody waits for it alone at the end.
        running = {pool.submit(one, machine): machine for machine in sorted(machines, key=lambda machine: machine.inside is None)}
        for done in concurrent.futures.as_completed(running):
            machine = running[done]
            answer = done.result()
            if answer is not None:
                report.add_boot(machine, *answer)
                results[machine.name] = answer[1]
    return results


def make_level(program: pathlib.Path, scans: dict[str, bytes], name: str, options: tuple[str, ...],
               report: Report) -> bytes | None:
    """The level of the machines' scans, made on this machine: foreign architectures' profiles as well."""
    with tempfile.TemporaryDirectory(prefix="cpulevel-lab-") as folder:
        files = []
        for machine, scan in scans.items():
            files.append(pathlib.Path(folder) / f"{machine}.json")
            files[-1].write_bytes(scan)
        level = pathlib.Path(folder) / "level.json"
        command = [program, "baseline", *files, "--name", name, "-o", level, *options]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0 or not level.exists():
            report.add("FAILED", f"{name}.baseline", f"of {', '.join(scans)}: status {done.returncode}: {done.stderr.strip()}")
            return None
        report.add("ok", f"{name}.baseline", f"of {', '.join(scans)}, made on this machine")
        return level.read_bytes()


def not_possible(why: str, required: bool) -> int:
    report = Report()
    report.add("FAILED" if required else "SKIPPED", "lab", f"the lab is not possible here: {why}")
    print(f"0 passed, {report.counts['FAILED']} failed, {report.counts['SKIPPED']} skipped")
    return 1 if required else 77


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="append", default=[], metavar="ARCHITECTURE:FOLDER",
                        help="build folder for an architecture (x86_64, aarch64); without it, its machines are left out")
    parser.add_argument("--machine", default="", help="only these machines (comma-separated; parts of names)")
    parser.add_argument("--case", default="", help="only these cases (comma-separated; parts of names)")
    parser.add_argument("--cases", type=pathlib.Path, default=HERE / "cases", help="another folder of cases")
    parser.add_argument("--require", action="store_true", default=bool(os.environ.get("CPULEVEL_REQUIRE_LAB")),
                        help="it is a failure if the lab is not possible here (also: CPULEVEL_REQUIRE_LAB=1)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="machines at a time")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for consoles and files that come back")
    parser.add_argument("--list", action="store_true", help="print machines and cases and end")
    arguments = parser.parse_args()

    try:
        cases = read_cases(arguments.cases)
    except BadCase as bad:
        parser.error(str(bad))
    cases = [case for case in cases if any(part in case.name for part in arguments.case.split(","))]
    machines = [machine for machine in MACHINES if any(part in machine.name for part in arguments.machine.split(","))]
    if arguments.list:
        for machine in machines:
            names = " ".join(case.name for case in cases if case.runs_on(machine))
            inside = f", inside of -cpu {machine.inside.cpu}" if machine.inside else ""
            print(f"{machine.name} ({machine.architecture.name}, -cpu {machine.cpu}{inside}): {names}")
        return 0
    builds = {}
    for build in arguments.build:
        architecture, _, folder = build.partition(":")
        if not folder:
            parser.error(f"--build {build}: expected ARCHITECTURE:FOLDER")
        if not pathlib.Path(folder).is_dir():
            return not_possible(f"there is no build for {architecture} in {folder} (arm64: make cross-arm64)", arguments.require)
        builds[architecture] = pathlib.Path(folder).resolve()
    machines = [machine for machine in machines if machine.architecture.name in builds]
    if not machines or not cases:
        parser.error("no machine or no case is left; see --list, and give --build for each architecture")
    for machine in machines:
        for case in (case for case in cases if case.runs_on(machine)):
            for program in (*case.programs, *((SET_XCR0,) if machine.inside else ())):
                if not (builds[machine.architecture.name] / program).is_file():
                    parser.error(f"{case.path.name} needs {program}, which is not built in {builds[machine.architecture.name]}")
    if arguments.keep:
        arguments.keep.mkdir(parents=True, exist_ok=True)

    report = Report()
    packages = Packages()
    started = time.monotonic()
    try:
        for architecture in {machine.architecture for machine in machines}:
            try:
                subprocess.run([architecture.qemu, "--version"], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as missing:
                raise Unavailable(f"{architecture.qemu} (Debian: {architecture.qemu_package}) cannot be run: {missing}") from None
            if any(machine.inside for machine in machines if machine.architecture is architecture):
                firmware(architecture.qemu)
            for series in {machine.kernel for machine in machines if machine.architecture is architecture}:
                packages.kernel(architecture.debian, series)
            packages.unpacked("busybox-static", architecture.debian)
    except Unavailable as why:
        return not_possible(str(why), arguments.require)

    first = [case for case in cases if not case.after]
    results = run_round(machines, first, builds, packages, report, arguments.jobs, {}, arguments.keep)
    second = [case for case in cases if case.after]
    wanted = [machine for machine in machines if any(case.runs_on(machine) for case in second)]
    if wanted:
        host = builds.get(os.uname().machine)
        if host is None:
            parser.error(f"cases with '# with:' need --build for this machine ({os.uname().machine})")
        extra = {}
        for architecture in {machine.architecture.name for machine in wanted}:
            scans = {name: result.files["scan.json"] for name, result in results.items() if "scan.json" in result.files}
            fleet = {name: scans[name] for name in FLEETS[architecture] if name in scans}
            level = None
            if len(fleet) == len(FLEETS[architecture]):
                level = make_level(host / "src/cli/cpulevel", fleet, f"fleet-{architecture}",
                                   FLEET_OPTIONS[architecture], report)
            elif arguments.machine or arguments.case:
                report.add("SKIPPED", f"fleet-{architecture}", f"needs scans of {', '.join(FLEETS[architecture])}")
            else:
                report.add("FAILED", f"fleet-{architecture}", f"scans came back of {', '.join(fleet) or 'no machine'} only")
            if level is None:
                wanted = [machine for machine in wanted if machine.architecture.name != architecture]
                continue
            extra[architecture] = {"fleet.json": level, **{f"{name}.json": scan for name, scan in scans.items()}}
        run_round(wanted, second, builds, packages, report, arguments.jobs, extra, arguments.keep)

    print(f"lab: {time.monotonic() - started:.0f} s")
    print(f"{report.counts['ok']} passed, {report.counts['FAILED']} failed, {report.counts['SKIPPED']} skipped")
    return 1 if report.counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
