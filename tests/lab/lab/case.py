"""Cases: shell files of cases/, run inside the machines. Their header comments say where and with what."""

from __future__ import annotations

import dataclasses
import pathlib
import re

from .machines import Machine

KEYS = ("machines", "programs", "data", "host-programs", "with", "time")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    path: pathlib.Path
    machines: frozenset[str]  # names of machines or of architectures
    programs: tuple[str, ...]  # below the build folder; in the guest /lab/bin/NAME
    data: tuple[str, ...]  # below the source tree; in the guest /lab/data/NAME
    host_programs: tuple[str, ...]  # of this machine, with libraries, at the same path
    after: str  # name of a level that the runner makes of the machines' scans; empty: run in the first round
    seconds: int

    def runs_on(self, machine: Machine) -> bool:
        if machine.special:
            return machine.name in self.machines
        return bool(self.machines & {machine.name, machine.architecture.name})


class BadCase(Exception):
    pass


def read_case(path: pathlib.Path) -> Case:
    header: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        match = re.match(r"# ([a-z-]+): (.+)$", line)
        if match and match.group(1) in KEYS:
            header.setdefault(match.group(1), []).extend(match.group(2).split())
    if "machines" not in header:
        raise BadCase(f"{path.name}: its header has no line '# machines: ...'")
    return Case(
        name=path.stem,
        path=path,
        machines=frozenset(header["machines"]),
        programs=tuple(header.get("programs", ())),
        data=tuple(header.get("data", ())),
        host_programs=tuple(header.get("host-programs", ())),
        after="".join(header.get("with", ())),
        seconds=int("".join(header.get("time", ["60"]))),
    )


def read_cases(folder: pathlib.Path) -> list[Case]:
    return [read_case(path) for path in sorted(folder.glob("*.sh"))]
