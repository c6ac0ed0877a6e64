"""Where a stage of the journeys is played: on this machine in a Debian 13 of its own, or in an emulated one."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

from lab.boot import BOOT_SECONDS, MEMORY_MEGABYTES, boot, build_initramfs  # noqa: E402
from lab.case import Case  # noqa: E402
from lab.initramfs import Initramfs  # noqa: E402
from lab.machines import Machine  # noqa: E402
from lab.packages import Packages  # noqa: E402

# What CRIU asks the kernel for; without nfnetlink and nf_tables it ends. Disks carry the checkpoints in and out.
MODULES = ("virtio_pci", "virtio_blk", "unix_diag", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "netlink_diag",
           "af_packet_diag", "crc32c_generic", "nfnetlink", "nf_tables", "tun", "veth")
OUT_BYTES = 1 << 30  # sparse

ENTER = r"""
root=$0
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmp "$root/tmp"
mount -t tmpfs run "$root/run"
mount --bind "$1" "$root/travel"
cd "$root"
pivot_root . mnt
cd /
umount -l /mnt
exec sh /travel/stage.sh
"""


@dataclasses.dataclass
class Stage:
    """What is done at one place in one go."""
    orders: list[str]
    luggage: dict[str, pathlib.Path]  # the folders of those who arrive, by name
    first_pid: int
    seconds: int = 600
    script: pathlib.Path = HERE / "stage.sh"


@dataclasses.dataclass
class Report:
    lines: list[str]
    work: pathlib.Path  # the folders of all who were here


def write_stage(stage: Stage, folder: pathlib.Path, programs: list[pathlib.Path]) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "work").mkdir()
    for program in programs:
        shutil.copy2(program, folder / "bin")
    shutil.copy2(stage.script, folder / "stage.sh")
    for shared in ("steps.sh", "cases.sh"):
        shutil.copy2(HERE / shared, folder)
    (folder / "orders").write_text("".join(order + "\n" for order in stage.orders))
    (folder / "first_pid").write_text(f"{stage.first_pid}\n")
    for name, luggage in stage.luggage.items():
        shutil.copytree(luggage, folder / "work" / name, symlinks=True)


class EnoughDescriptors:
    """CRIU raises its limit of descriptors to fs.nr_open, which root without CAP_SYS_RESOURCE may not: then fs.nr_open is brought
    down to the limit, as long as we are here."""

    def __enter__(self) -> None:
        self.path = pathlib.Path("/proc/sys/fs/nr_open")
        self.before = self.path.read_text()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0], int(self.before)))
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except ValueError:
            self.path.write_text(str(limits[1]))

    def __exit__(self, *_: object) -> None:
        self.path.write_text(self.before)


def play_natively(stage: Stage, kit: Kit, folder: pathlib.Path) -> Report:
    write_stage(stage, folder, kit.programs)
    with EnoughDescriptors():
        done = subprocess.run(["unshare", "-m", "-p", "-f", "--kill-child", "sh", "-c", ENTER, kit.root, folder],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=stage.seconds, errors="replace", check=False)
    return Report(done.stdout.splitlines(), folder / "work")


def dynamic(file: pathlib.Path) -> tuple[str, list[str]]:
    """The interpreter that a program asks for, and the libraries that it or a library needs: read, not run, since it may be
    another architecture's."""
    listed = subprocess.run(["readelf", "-dl", file], capture_output=True, text=True, check=False).stdout
    interpreter = re.search(r"program interpreter: (/\S+?)\]", listed)
    return interpreter[1] if interpreter else "", re.findall(r"\(NEEDED\).*\[(\S+)\]", listed)


def inside(root: pathlib.Path, path: str) -> pathlib.Path:
    """Where a path of the root leads: the file itself, below the root. /lib is usr/lib, also where the link was not made."""
    words = path.strip("/").split("/")
    if words[0] in ("lib", "lib64", "bin", "sbin"):
        words.insert(0, "usr")
    file = root.joinpath(*words)
    while file.is_symlink():
        target = os.readlink(file)
        file = inside(root, target) if target.startswith("/") else inside(root, os.path.normpath(str((file.parent / target).relative_to(root))))
    return file


def libraries_of(root: pathlib.Path, programs: list[str]) -> set[str]:
    """Paths of the libraries and interpreters of these programs."""
    folders = [str(folder.relative_to(root)) for folder in (*root.glob("usr/lib/*-linux-gnu*"), root / "usr/lib")]
    found: set[str] = set()
    left = list(programs)
    while left:
        interpreter, names = dynamic(inside(root, left.pop()))
        paths = [f"/{folder}/{name}" for name in names for folder in folders if inside(root, f"{folder}/{name}").is_file()]
        for path in [*paths, *([interpreter] if interpreter else [])]:
            if path not in found:
                found.add(path)
                left.append(path)
    return found


def link_folders(image: Initramfs) -> None:
    for link in ("lib", "lib64", "sbin"):
        image.known.add(link)
        image.link(f"/{link}", f"usr/{link}")


def fill_programs(root: pathlib.Path, image: Initramfs, programs: Iterable[str], more: Iterable[str] = ()) -> None:
    """Programs, their libraries and more as they are in the root, at the same paths: a checkpoint names files."""
    for path in sorted(libraries_of(root, list(programs)) | set(programs) | set(more)):
        real = inside(root, path)
        name = path if path.startswith("/usr/") else "/usr" + path
        canonical = "/" + str(real.relative_to(root))
        image.file(canonical, real.read_bytes(), stat.S_IMODE(real.stat().st_mode))
        if name.strip("/") not in image.known:
            image.known.add(name.strip("/"))
            image.link(name, canonical)


def fill_from(root: pathlib.Path, image: Initramfs) -> None:
    """CRIU, Python and libcrypto."""
    link_folders(image)
    python = "/" + str(inside(root, "/usr/bin/python3").relative_to(root))
    modules = sorted((root / "usr/lib").glob("python3.*"))
    extensions = ["/" + str(path.relative_to(root)) for folder in modules for path in folder.rglob("*.so")]
    libraries = libraries_of(root, extensions)
    for library in ("libcrypto.so.3", "libm.so.6"):
        libraries.add("/" + str(next((root / "usr/lib").glob(f"*/{library}")).relative_to(root)))
    fill_programs(root, image, ["/usr/sbin/criu", python], libraries)
    image.link("/usr/bin/python3", os.path.basename(python))
    # What libc maps: character sets and the locale.
    more = [*modules, *root.glob("usr/lib/*/gconv/gconv-modules.cache"), root / "usr/lib/locale"]
    for folder in more:
        if folder.exists():
            image.tree(root, "/" + str(folder.relative_to(root)))


@dataclasses.dataclass(frozen=True)
class Kit:
    """What is carried to the machines of an architecture."""
    programs: list[pathlib.Path]
    root: pathlib.Path  # of Debian 13
    fill: Callable[[pathlib.Path, Initramfs], None] = fill_from  # puts into a machine what it needs of the root
    modules: tuple[str, ...] = MODULES
    megabytes: int = MEMORY_MEGABYTES  # of a machine's memory


CASE = """\
for module in $(cat /modules/order); do insmod "/modules/$module" 2>/dev/null; done
mkdir -p /travel
chmod 755 / /travel  # as it is natively: CRIU compares
tar -x -C /travel -f /dev/vda || echo "failed - the first disk could not be read"
sh /travel/stage.sh
tar -c -C /travel/work -f /dev/vdb . || echo "failed - the second disk could not be written"
sync
"""


def play_in_machine(stage: Stage, kit: Kit, folder: pathlib.Path, machine: Machine, packages: Packages) -> Report:
    write_stage(stage, folder / "travel", kit.programs)
    script = folder / "travel.sh"
    script.write_text(CASE)
    case = Case(name="travel", path=script, machines=frozenset(), programs=(), data=(), host_programs=(), after="",
                seconds=stage.seconds)
    kernel = packages.kernel(machine.architecture.debian)

    def fill(image: Initramfs) -> None:
        order = image.modules(kernel, kit.modules)
        image.file("/modules/order", "\n".join(order).encode(), 0o644)
        kit.fill(kit.root, image)

    into, out = folder / "into", folder / "out"
    with tarfile.open(into, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(folder / "travel", ".")
    os.truncate(into, (into.stat().st_size + 4095) // 4096 * 4096)
    out.touch()
    os.truncate(out, OUT_BYTES)
    image = build_initramfs(machine, [case], folder, folder, packages, {}, fill)
    result = boot(machine, kernel, image, BOOT_SECONDS + stage.seconds, [into, out], kit.megabytes)
    shutil.rmtree(folder / "travel")
    into.unlink()
    lines = [line for found in result.cases for line in found.lines]
    if not result.finished:
        lines += [f"failed - {machine.name} was not finished after {result.seconds:.0f} s",
                  *("    " + line for line in result.console.splitlines()[-15:])]
    work = folder / "work"
    work.mkdir()
    try:
        with tarfile.open(out) as archive:
            archive.extractall(work)
    except tarfile.ReadError as bad:
        lines.append(f"failed - what {machine.name} gave back is no archive: {bad}")
    out.unlink()
    lines.append(f"time {machine.name}: {result.seconds:.0f} s from start to power-off")
    return Report(lines, work)
