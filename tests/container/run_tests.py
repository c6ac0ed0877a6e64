#!/usr/bin/python3
"""Containers that an engine (runc, podman) checkpoints on this machine and an engine restores on an emulated Nehalem.

The level is in the entry point, the action script in CRIU's configuration; no engine knows of us. The same containers without a level
are the control, which must die of SIGILL there. Needs what tests/travel needs (docs/travel.md), whose programs and places are used,
and the engines of Debian 13 (`tools/criu_root.sh amd64 engines`). One line for each case: `ok`, `FAILED` or `SKIPPED (reason)`; the
last line counts them. Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 it is not possible here (1 with --require).
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path[:0] = [str(SOURCE / "tests/travel"), str(SOURCE / "tests/lab")]

from cases import Cases, has_level, not_possible, parser_of  # noqa: E402
from lab.initramfs import Initramfs  # noqa: E402
from lab.machines import X86_64  # noqa: E402
from lab.packages import Packages, Unavailable  # noqa: E402
from places import MODULES, fill_programs, link_folders  # noqa: E402
from travel import criu_root, pack  # noqa: E402

LOW, HIGH = "x86-64-v2-mtrr", "x86-64-v3-mtrr"
CASES = {  # name: verbs here and there, level, program
    "runc": ("depart_runc", "arrive_runc", LOW, "strings_static"),
    "runc_lacks": ("depart_runc", "refused_runc", HIGH, "strings_static"),
    "runc_control": ("depart_runc", "dies_runc", "-", "strings_static"),
    "podman": ("depart_podman", "arrive_podman", LOW, "strings_static"),
    "podman_control": ("depart_podman", "dies_podman", "-", "strings_static"),
}
OURS = ("cpulevel", "guardian", "strings_static")
# CRIU has the files of a container's tmpfs in archives of GNU tar, and locks a network namespace by iptables.
PROGRAMS = ("/usr/bin/conmon", "/usr/bin/podman", "/usr/bin/tar", "/usr/lib/podman/netavark", "/usr/sbin/criu",
            "/usr/sbin/ip6tables-restore", "/usr/sbin/iptables-restore", "/usr/sbin/runc")
IPTABLES_EXTENSIONS = ("libxt_mark.so", "libxt_standard.so")
IPTABLES_MODULES = ("nft_compat", "xt_mark")
FIRST_PID = 3000
MEGABYTES = 1536  # the machine has the engines twice for a moment: in its initramfs, and where it goes on (stage.sh)


def fill(root: pathlib.Path, image: Initramfs) -> None:
    link_folders(image)
    extensions = next(root.glob("usr/lib/*/xtables"))
    fill_programs(root, image, PROGRAMS, [f"/{(extensions / name).relative_to(root)}" for name in IPTABLES_EXTENSIONS])
    image.tree(root, "/etc/containers")
    image.tree(root, "/usr/share/containers")


class Run(Cases):
    def __init__(self, build: pathlib.Path, packages: Packages, work: pathlib.Path) -> None:
        kit = pack(X86_64.name, build, packages)
        busybox = packages.unpacked("busybox-static", X86_64.debian) / "bin/busybox"
        programs = [busybox, *(program for program in kit.programs if program.name in OURS)]
        super().__init__(HERE / "stage.sh", kit, packages, work)
        self.require_criu()
        self.kit = dataclasses.replace(kit, programs=programs, root=criu_root(X86_64.debian, "engines"), fill=fill,
                                       modules=(*MODULES, *IPTABLES_MODULES), megabytes=MEGABYTES)

    def run(self, cases: dict[str, tuple[str, str, str, str]]) -> None:
        orders = [f"{here} {name} {level} {program}" for name, (here, _, level, program) in cases.items()]
        found, work = self.play("native", orders, {}, FIRST_PID)
        self.arrive("nehalem", cases, found, work, 2 * FIRST_PID)


def main() -> int:
    parser = parser_of(__doc__)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    cases = {name: case for name, case in CASES.items() if any(part in name for part in arguments.case.split(","))}
    if not cases:
        parser.error("no case is left")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cpulevel-container-") as work:
        try:
            run = Run(build, Packages(), pathlib.Path(work))
        except Unavailable as missing:
            return not_possible("container", missing, arguments.require)
        for name in [name for name, case in cases.items() if case[2] == HIGH and not has_level(build, HIGH)]:
            run.verdicts.add("SKIPPED", name, f"this machine has not {HIGH} itself")
            cases.pop(name)
        run.run(cases)
        print(f"         {time.monotonic() - started:.0f} s")
        return run.verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
