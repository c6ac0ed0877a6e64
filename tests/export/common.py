"""What the tests share: running cpulevel, the data as the tests read them for themselves, and finding tools."""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

CPULEVEL = pathlib.Path()  # set by run_tests.py
SOURCE = pathlib.Path(__file__).resolve().parents[2]
PLAIN = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C", "HOME": "/nonexistent"}


def run(*command, environment=None, timeout=60, **how):
    return subprocess.run([str(word) for word in command], env=PLAIN | (environment or {}), capture_output=True, text=True,
                          timeout=timeout, check=False, **how)


def tool(name, package=None):
    path = shutil.which(name, path=PLAIN["PATH"])
    if path is None:
        raise unittest.SkipTest(f"no {name} here (Debian: {package or name})")
    return path


def cpulevel(*words):
    done = run(CPULEVEL, *words)
    assert done.returncode == 0, f"cpulevel {' '.join(map(str, words))}: {done.returncode}\n{done.stderr}"
    return done.stdout


@functools.cache
def exported(level, to, *more):
    return json.loads(cpulevel("export", level, "--to", to, "--json", *more))


def text(level, to, *more):
    return exported(level, to, *more)["text"].strip()


@functools.cache
def features(architecture="x86_64"):
    """Canonical name -> the feature's entry in data/."""
    data = json.loads((SOURCE / "data" / f"{architecture}.json").read_text())
    return {feature["name"]: feature for feature in data["features"]}


@functools.cache
def places():
    """(leaf, subleaf, register, bit) -> canonical name."""
    found = {}
    for name, feature in features().items():
        for place in feature.get("cpuid", []):
            leaf, subleaf, register, bit = re.fullmatch(r"(0x\w+)\.(\d+):(e.x)\[(\d+)\]", place).groups()
            found[int(leaf, 16), int(subleaf), register, int(bit)] = name
    return found


@functools.cache
def entries(name, architecture="x86_64"):
    data = json.loads((SOURCE / "data" / "exports" / f"{name}.json").read_text())
    return data["architectures"].get(architecture, {}).get("entries", [])


def named(name, kind, architecture="x86_64"):
    """The tool's name -> features, of entries of a kind."""
    return {e["name"]: e["features"] for e in entries(name, architecture) if e["kind"] == kind}


@functools.cache
def shown(level):
    how = ("baseline", level, "-o", "-") if str(level).endswith(".json") else ("show", level, "--json")
    return frozenset(json.loads(cpulevel(*how))["features"])


@functools.cache
def flags_here():
    """The machine's flags, by the kernel."""
    found = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def need_flag(flag):
    if flag not in flags_here():
        raise unittest.SkipTest(f"this machine has no {flag}: there is nothing to hide")
