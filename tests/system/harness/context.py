"""What a test is given: ways to run programs bare and levelled, and to compare the two."""

from __future__ import annotations

import difflib
import os
import pathlib
import shutil
import tempfile
from typing import Any

from . import machine
from .case import Failed, Skipped
from .process import Finished, Running, describe_status, shorten

NOBODY = 65534

# Bits that x86-64-v2 does not have but every x86-64-v3 machine has, by the fact that print_level prints them in.
HIDDEN_AT_V2 = {
    "leaf1.ecx": {"FMA": 12, "MOVBE": 22, "XSAVE": 26, "OSXSAVE": 27, "AVX": 28, "F16C": 29, "RDRAND": 30},
    "leaf7.ebx": {"FSGSBASE": 0, "BMI1": 3, "AVX2": 5, "BMI2": 8, "AVX512F": 16, "ADX": 19, "SHA": 29, "AVX512BW": 30,
                  "AVX512VL": 31},
    "leaf7.ecx": {"AVX512VBMI": 1, "GFNI": 8, "VAES": 9, "VPCLMULQDQ": 10},
    "leaf80000001.ecx": {"LZCNT": 5},
    "hwcap2": {"FSGSBASE": 1},
}
SHOWN_AT_V2 = {"leaf1.ecx": {"SSE3": 0, "SSSE3": 9, "CX16": 13, "SSE4.1": 19, "SSE4.2": 20, "POPCNT": 23},
               "leaf1.edx": {"FPU": 0, "CX8": 8, "CMOV": 15, "MMX": 23, "FXSR": 24, "SSE": 25, "SSE2": 26},
               "leaf80000001.ecx": {"LAHF": 0}}


class Context:
    level = "x86-64-v2"

    def __init__(self, cpulevel: pathlib.Path, victims: pathlib.Path, torture: bool):
        self.cpulevel = cpulevel
        self.victims = victims
        self.torture = torture
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="cpulevel-system-"))
        self.scratch.chmod(0o755)

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    # --- what the test needs

    def skip(self, reason: str) -> None:
        raise Skipped(reason)

    def victim(self, name: str) -> str:
        path = self.victims / name
        if not path.exists():
            if name in machine.not_built():
                raise Skipped(f"{name} is not built: {machine.not_built()[name]}")
            raise Failed(f"victim {name} is missing in {self.victims}")
        if "_32" in name and (why_not := machine.runs(str(path))):
            raise Skipped(f"{name}: {why_not}")
        return str(path)

    def tool(self, name: str, package: str | None = None) -> str:
        path = machine.tool(name)
        if path is None:
            raise Skipped(f"no {name} here (package {package or name})")
        return path

    def need_root(self) -> None:
        if os.geteuid() != 0:
            raise Skipped("needs root")

    def need_faulting(self) -> None:
        why_not = machine.cpuid_faulting()
        if why_not:
            raise Skipped(f"needs CPUID faulting, which does not work here: {why_not}")

    def need(self, *command: str) -> None:
        """Skips unless `command` works bare."""
        why_not = machine.works(*command)
        if why_not:
            raise Skipped(f"does not work here even bare: {' '.join(command)}: {why_not}")

    def reachable_copies(self) -> None:
        """Copies cpulevel and the victims to where any user may execute them (a build tree need not be)."""
        if self.victims.parent == self.scratch:
            return
        for path, to in ((self.cpulevel, self.scratch / "cpulevel"), (self.victims, self.scratch / "victims")):
            if path.is_dir():
                shutil.copytree(path, to, ignore=shutil.ignore_patterns("go-cache", "CMakeFiles"))
            else:
                shutil.copy2(path, to)
            to.chmod(0o755)
        self.cpulevel, self.victims = self.scratch / "cpulevel", self.scratch / "victims"

    # --- running

    def _environment(self, env: dict[str, str] | None) -> dict[str, str]:
        plain = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "HOME": str(self.scratch),
                 "TERM": "dumb"}
        return plain | (env or {})

    def supervise(self, *, level: str | None = None, options: tuple = ()) -> list[str]:
        return [str(self.cpulevel), "run", "--level", str(level or self.level), *map(str, options), "--"]

    def start(self, *command: Any, env=None, **how) -> Running:
        return Running(command, env=self._environment(env), **how)

    def start_levelled(self, *command: Any, level=None, options=(), **how) -> Running:
        return self.start(*self.supervise(level=level, options=options), *command, **how)

    def bare(self, *command: Any, timeout: float = 60, **how) -> Finished:
        return self.start(*command, **how).wait(timeout)

    def levelled(self, *command: Any, timeout: float = 60, **how) -> Finished:
        return self.start_levelled(*command, **how).wait(timeout)

    # --- judging

    def check(self, condition: Any, what: str) -> None:
        if not condition:
            raise Failed(what)

    def equal(self, found: Any, expected: Any, what: str) -> None:
        if found != expected:
            raise Failed(f"{what}: found {found!r}, expected {expected!r}")

    def ok(self, run: Finished) -> Finished:
        if run.status != 0:
            raise Failed(str(run))
        return run

    def same(self, bare: Finished, levelled: Finished, *, except_facts: tuple[str, ...] = ()) -> None:
        """Status, output and errors are the same; facts that start with one of `except_facts` may differ."""

        def lines(text: str) -> list[str]:
            return [line for line in text.splitlines() if not (except_facts and line.startswith(except_facts))]

        if (bare.status, lines(bare.out), lines(bare.err)) != (levelled.status, lines(levelled.out), lines(levelled.err)):
            changes = "\n".join(difflib.unified_diff(lines(bare.out) + lines(bare.err), lines(levelled.out) + lines(levelled.err),
                                                     "bare", "levelled", lineterm="", n=0))
            raise Failed(f"{' '.join(bare.command)}: bare {describe_status(bare.status)}, levelled "
                         f"{describe_status(levelled.status)}\n{shorten(changes)}\n{shorten(levelled.messages)}")

    def same_both_ways(self, *command: Any, except_facts: tuple[str, ...] = (), **how) -> tuple[Finished, Finished]:
        bare = self.bare(*command, **how)
        levelled = self.levelled(*command, **how)
        self.same(bare, levelled, except_facts=except_facts)
        return bare, levelled

    def shows_v2(self, levelled: Finished, bare: Finished | None = None) -> None:
        """`levelled` is what print_level printed at level x86-64-v2: nothing beyond is seen, nothing of it is lost."""
        if bare is None:
            bare = self.ok(self.bare(self.victim("print_level")))
        if not bare.number("leaf7.ebx") & (1 << HIDDEN_AT_V2["leaf7.ebx"]["AVX2"]):
            raise Skipped("this machine has no AVX2: x86-64-v2 hides nothing that could be looked for")
        self.ok(levelled)
        for fact, bits in HIDDEN_AT_V2.items():
            if levelled.facts.get(fact) == "absent":
                continue
            shown = [name for name, bit in bits.items() if levelled.number(fact) >> bit & 1]
            self.check(not shown, f"{fact} shows {', '.join(shown)} beyond the level: {levelled}")
        for fact, bits in SHOWN_AT_V2.items():
            lost = [name for name, bit in bits.items()
                    if bare.number(fact) >> bit & 1 and not levelled.number(fact) >> bit & 1]
            self.check(not lost, f"{fact} has lost {', '.join(lost)} of the level: {levelled}")
        for fact in ("hwcap", "hwcap2", "hwcap3", "hwcap4"):
            if bare.facts[fact] == "absent":
                self.equal(levelled.facts[fact], "absent", fact)
            else:
                extra = levelled.number(fact) & ~bare.number(fact)
                self.check(extra == 0, f"{fact} has bits 0x{extra:x} that this machine has not: {levelled}")
        if bare.facts["minsigstksz"] != "absent":
            self.check(levelled.number("minsigstksz") >= bare.number("minsigstksz"),
                       f"AT_MINSIGSTKSZ is smaller than this machine's own: {levelled}")
