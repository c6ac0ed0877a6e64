"""Kernels and guest programs, from Debian by name: downloaded and unpacked into a cache, never installed.

apt runs with a configuration of its own (lists, cache, architectures), so it needs no right and changes nothing of
the machine; only the system's list of sources is used.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import re
import subprocess
import tempfile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cpulevel" / "lab"


class Unavailable(Exception):
    """What the lab needs cannot be had on this machine; the text says what and why."""


def run(command: list[str], **options) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise Unavailable(f"{' '.join(command[:1] + command[-2:])} failed: {last}")
    return done.stdout


class Packages:
    def __init__(self, cache: pathlib.Path = CACHE):
        self.cache = cache
        self.updated = False
        cache.mkdir(parents=True, exist_ok=True)

    def apt(self, program: str, *arguments: str, **options) -> str:
        apt = self.cache / "apt"
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (apt / folder).mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        settings = {
            "Dir::State": apt / "state", "Dir::Cache": apt / "cache", "Dir::State::status": apt / "status",
            "APT::Sandbox::User": "root", "Acquire::Retries": 2, "Acquire::http::Timeout": 30,
        }
        command = [program]
        for key, value in settings.items():
            command += ["-o", f"{key}={value}"]
        command += ["-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=arm64"]
        return run(command + list(arguments), env={**os.environ, "LC_ALL": "C"}, **options)

    def update(self) -> None:
        if not self.updated:
            with open(self.cache / "update-lock", "w") as lock:  # another lab at the same time
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.apt("apt-get", "-q", "update")
            self.updated = True

    def unpacked(self, package: str, architecture: str) -> pathlib.Path:
        """The folder of the package's files. What is in the cache is used without asking the network."""
        root = self.cache / "roots" / f"{package}_{architecture}"
        with open(self.cache / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.is_dir():
                # In a folder of its own that goes away: what an interrupted download leaves is nobody's business.
                root.parent.mkdir(exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.cache) as folder:
                    self.update()
                    self.apt("apt-get", "-q", "download", f"{package}:{architecture}", cwd=folder)
                    found = list(pathlib.Path(folder).glob("*.deb"))
                    if len(found) != 1:
                        raise Unavailable(f"apt-get download {package}:{architecture} left {len(found)} files")
                    partial = pathlib.Path(folder) / "root"
                    run(["dpkg", "-x", str(found[0]), str(partial)])
                    partial.rename(root)
        return root

    def kernel(self, architecture: str, series: str = "") -> pathlib.Path:
        """The unpacked cloud kernel that Debian's meta package (of a series, or the ordinary one) names today. What was chosen
        once is kept, so that a filled cache asks no network."""
        meta = f"linux-image-{series}-cloud-{architecture}" if series else f"linux-image-cloud-{architecture}"
        chosen = self.cache / f"{meta}.chosen"
        if chosen.exists():
            known = self.cache / "roots" / f"{chosen.read_text().strip()}_{architecture}"
            if known.is_dir():
                return known
        self.update()
        depends = self.apt("apt-cache", "depends", f"{meta}:{architecture}")
        match = re.search(r"Depends: (linux-image-[0-9][^\s:]*)", depends)
        if not match:
            raise Unavailable(f"{meta} is in none of the package sources")
        root = self.unpacked(match.group(1), architecture)
        chosen.write_text(match.group(1) + "\n")
        return root
