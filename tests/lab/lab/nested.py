"""A machine inside of another one: QEMU emulates the outer machine, whose kernel's KVM runs the inner one.

The outer machine has nothing to do but that: its initramfs is KVM, this machine's own QEMU, and the inner machine's kernel and
initramfs. What the inner machine writes to its console comes out at the outer one's (guest/outer_init).
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

from .boot import GUEST, MEMORY_MEGABYTES, kernel_arguments, kernel_image
from .initramfs import Initramfs
from .machines import Machine
from .packages import Packages, Unavailable

# What a machine of the type `pc` with `-kernel` and without devices reads.
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin")
OUTER_MEGABYTES = MEMORY_MEGABYTES + 512
# Once, on a machine with much else to do, the inner one stood still. No case is silent for so long.
SILENCE_SECONDS = 200
CPUS = 2  # of the inner machine: so that not all CPUs are alike (APIC ids)
SET_XCR0 = "tests/lab/outer/set_xcr0.so"  # below the build folder


def firmware(qemu: str) -> list[pathlib.Path]:
    folders = subprocess.run([qemu, "-L", "help"], capture_output=True, text=True, check=False).stdout.splitlines()
    found = []
    for name in FIRMWARE:
        paths = [path for folder in folders if (path := pathlib.Path(folder) / name).is_file()]
        if not paths:
            raise Unavailable(f"{name} of QEMU's firmware (Debian: seabios, qemu-system-data) is in none of {', '.join(folders)}")
        found.append(paths[0])
    return found


def outer_initramfs(machine: Machine, inner: bytes, build: pathlib.Path, packages: Packages) -> bytes:
    """`inner` is the initramfs of `machine`."""
    architecture = machine.architecture
    image = Initramfs()
    image.character_device("/dev/console", 5, 1)
    for folder in ("/proc", "/sys", "/tmp"):
        image.folder(folder)
    busybox = packages.unpacked("busybox-static", architecture.debian) / "bin" / "busybox"
    image.file("/bin/busybox", busybox.read_bytes())
    image.link("/bin/sh", "busybox")
    image.file("/init", (GUEST / "outer_init").read_bytes())
    modules = image.modules(packages.kernel(architecture.debian, machine.inside.kernel), ("kvm_amd",))
    qemu = shutil.which(architecture.qemu)
    if qemu is None:
        raise Unavailable(f"{architecture.qemu} is not installed")
    image.host_program(qemu)
    for path in firmware(qemu):
        image.file(str(path), path.read_bytes())
    image.file("/inner/set_xcr0.so", (build / SET_XCR0).read_bytes())
    image.file("/inner/kernel", kernel_image(machine, packages.kernel(architecture.debian, machine.kernel)).read_bytes())
    image.file("/inner/initramfs", inner)
    image.file("/inner/machine", "".join(f"{name}='{value}'\n" for name, value in {
        "MODULES": " ".join(modules),
        "QEMU": qemu,
        "CPU": machine.cpu,
        "CPUS": CPUS,
        "MEGABYTES": MEMORY_MEGABYTES,
        "APPEND": kernel_arguments(machine),
    }.items()).encode(), 0o644)
    return image.finished()
