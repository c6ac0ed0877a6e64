"""An initramfs, written as a cpio archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst).

Written here rather than by cpio(1), because a device node can be put into an archive without being root.
"""

from __future__ import annotations

import lzma
import os
import pathlib
import re
import stat
import subprocess
from collections.abc import Sequence


class Initramfs:
    def __init__(self) -> None:
        self.bytes = bytearray()
        self.inode = 0
        self.known: set[str] = set()

    def _entry(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.inode += 1
        name = name.strip("/")
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name) + 1, 0]
        self.bytes += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self._pad()
        self.bytes += data
        self._pad()

    def _pad(self) -> None:
        self.bytes += b"\0" * (-len(self.bytes) % 4)

    def folder(self, path: str, mode: int = 0o755) -> None:
        path = path.strip("/")
        if not path or path in self.known:
            return
        if "/" in path:
            self.folder(path.rsplit("/", 1)[0])
        self.known.add(path)
        self._entry(path, stat.S_IFDIR | mode)

    def file(self, path: str, data: bytes, mode: int = 0o755) -> None:
        path = path.strip("/")
        if path in self.known:
            return
        self.folder(path.rpartition("/")[0])
        self.known.add(path)
        self._entry(path, stat.S_IFREG | mode, data)

    def link(self, path: str, target: str) -> None:
        self.folder(path.strip("/").rpartition("/")[0])
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int) -> None:
        self.folder(path.strip("/").rpartition("/")[0])
        self._entry(path, stat.S_IFCHR | 0o600, device=(major, minor))

    def host_program(self, path: str) -> None:
        """A dynamic program of this machine with its loader and libraries, all at their own absolute paths."""
        self.file(path, pathlib.Path(path).read_bytes())
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            for word in line.split():
                if word.startswith("/"):
                    self.file(word, pathlib.Path(word).read_bytes())

    def tree(self, root: pathlib.Path, path: str) -> None:
        """A folder or file of `root` at the same path, links as links; what a link to elsewhere points to must be added too."""
        for found in sorted([root / path.lstrip("/"), *(root / path.lstrip("/")).rglob("*")]):
            name = "/" + str(found.relative_to(root))
            if found.is_symlink():
                if name.strip("/") not in self.known:
                    self.known.add(name.strip("/"))
                    self.link(name, os.readlink(found))
            elif found.is_dir():
                self.folder(name)
            elif found.is_file():
                self.file(name, found.read_bytes(), stat.S_IMODE(found.stat().st_mode))

    def modules(self, kernel: pathlib.Path, names: Sequence[str]) -> list[str]:
        """Kernel modules with all that they need, in /modules; gives the order in which insmod must have them."""
        files = {path.name.partition(".")[0].replace("-", "_"): path for path in (kernel / "lib/modules").rglob("*.ko*")}
        order: list[str] = []

        def add(name: str) -> None:
            path = files.get(name.replace("-", "_"))
            name = f"{path.name.partition('.')[0]}.ko" if path else ""
            if path is None or name in order:
                return  # built in, or had already
            data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
            for needed in re.findall(rb"\0depends=([^\0]*)\0", data):
                for one in filter(None, needed.decode().split(",")):
                    add(one)
            if name not in order:
                order.append(name)
                self.file(f"/modules/{name}", data, 0o644)

        for name in names:
            add(name)
        return order

    def finished(self) -> bytes:
        self._entry("TRAILER!!!", 0)
        self.bytes += b"\0" * (-len(self.bytes) % 512)
        return bytes(self.bytes)
