"""One boot of one machine: programs and cases in, results out.

The guest writes to the serial console; every line of ours begins with a mark, so that what a kernel or a firmware
prints in between is neither lost nor taken for a result (guest/init writes what is read here).
"""

from __future__ import annotations

import base64
import dataclasses
import pathlib
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence

from .case import Case
from .initramfs import Initramfs
from .machines import Machine
from .packages import Packages

GUEST = pathlib.Path(__file__).resolve().parent.parent / "guest"
MARK = "@lab "
BOOT_SECONDS = 60  # from start to power-off, beside what the cases may take
MEMORY_MEGABYTES = 1024


@dataclasses.dataclass
class CaseResult:
    case: str
    lines: list[str] = dataclasses.field(default_factory=list)
    status: int | None = None  # None: it did not come to its end


@dataclasses.dataclass
class BootResult:
    seconds: float
    cases: list[CaseResult] = dataclasses.field(default_factory=list)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    finished: bool = False
    console: str = ""  # all of it, for people


def build_initramfs(machine: Machine, cases: list[Case], build: pathlib.Path, source: pathlib.Path, packages: Packages,
                    extra: dict[str, bytes], fill: Callable[[Initramfs], None] = lambda _: None) -> bytes:
    """`extra` are files for /lab/data; `fill` puts in whatever else a test needs."""
    image = Initramfs()
    image.character_device("/dev/console", 5, 1)
    for folder in ("/proc", "/sys", "/run", "/lab/results"):
        image.folder(folder)
    image.folder("/tmp", 0o1777)
    busybox = packages.unpacked("busybox-static", machine.architecture.debian) / "bin" / "busybox"
    image.file("/bin/busybox", busybox.read_bytes())
    image.link("/bin/sh", "busybox")
    for name in ("init", "lib.sh"):
        image.file(f"/{name}" if name == "init" else f"/lab/{name}", (GUEST / name).read_bytes())
    image.file("/etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)
    image.file("/etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    image.file("/lab/machine", f"MACHINE={machine.name}\nARCH={machine.architecture.name}\n".encode(), 0o644)
    order = []
    for case in cases:
        image.file(f"/lab/cases/{case.name}", case.path.read_bytes())
        order.append(f"{case.name} {case.seconds}\n")
        for program in case.programs:
            image.file(f"/lab/bin/{pathlib.Path(program).name}", (build / program).read_bytes())
        for name in case.data:
            image.file(f"/lab/data/{pathlib.Path(name).name}", (source / name).read_bytes(), 0o644)
        for program in case.host_programs:
            image.host_program(program)
    image.file("/lab/order", "".join(order).encode(), 0o644)
    for name, data in extra.items():
        image.file(f"/lab/data/{name}", data, 0o644)
    fill(image)
    return image.finished()


def kernel_image(machine: Machine, kernel: pathlib.Path) -> pathlib.Path:
    return next((kernel / "boot").glob(machine.architecture.kernel_image + "*"))


def kernel_arguments(machine: Machine) -> str:
    return f"console={machine.architecture.console} panic=-1 quiet loglevel=1 {machine.kernel_arguments}".strip()


def boot(machine: Machine, kernel: pathlib.Path, initramfs: bytes, seconds: int,
         disks: Sequence[pathlib.Path] = (), megabytes: int = MEMORY_MEGABYTES, silence: int | None = None) -> BootResult:
    """`disks` are files that the guest has as /dev/vda, /dev/vdb...; it needs the modules virtio_pci and virtio_blk for them.
    A machine that writes nothing for `silence` seconds is ended early."""
    image = kernel_image(machine, kernel)
    with tempfile.NamedTemporaryFile(prefix="cpulevel-lab-") as file:
        file.write(initramfs)
        file.flush()
        command = [
            machine.architecture.qemu, *machine.architecture.machine, "-cpu", machine.cpu, "-m", str(megabytes),
            "-nographic", "-no-reboot", "-nic", "none", "-kernel", str(image), "-initrd", file.name,
            "-append", kernel_arguments(machine),
        ]
        for disk in disks:
            command += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        start = time.monotonic()
        output = run_machine(command, start + seconds, silence)
    return read_console(output.decode(errors="replace"), time.monotonic() - start)


def run_machine(command: list[str], until: float, silence: int | None) -> bytes:
    output = bytearray()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as machine:
        while True:
            left = until - time.monotonic()
            wait = left if silence is None else min(left, silence)
            if wait <= 0 or not select.select([machine.stdout], [], [], wait)[0]:
                why = "its time was over" if wait <= 0 or silence is None or left <= silence else f"silent for {silence} s"
                output += f"\n(the machine was ended: {why})\n".encode()
                machine.kill()
                break
            some = machine.stdout.read1(65536)
            if not some:
                break
            output += some
    return bytes(output)


def read_console(console: str, seconds: float) -> BootResult:
    result = BootResult(seconds=seconds, console=console)
    file_name, encoded = "", ""
    for raw in console.splitlines():
        # A message of the kernel may stand on the same line, before ours.
        _, mark, line = raw.rstrip("\r").partition(MARK)
        if not mark:
            continue
        word, _, rest = line.partition(" ")
        if word == "case":
            result.cases.append(CaseResult(rest))
        elif word == "|" and result.cases:
            result.cases[-1].lines.append(rest)
        elif word == "end" and result.cases:
            result.cases[-1].status = int(rest)
        elif word == "file":
            file_name, encoded = rest, ""
        elif word == "+":
            encoded += rest
        elif word == "close":
            result.files[file_name] = base64.b64decode(encoded)
        elif word == "done":
            result.finished = True
    return result
