"""An initramfs, written as a cpio archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst).

Written here rather than by cpio(1), because a device node can be put into an archive without being root.
"""

from __future__ import annotations

import pathlib
import stat
import subprocess


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

    def finished(self) -> bytes:
        self._entry("TRAILER!!!", 0)
        self.bytes += b"\0" * (-len(self.bytes) % 512)
        return bytes(self.bytes)
