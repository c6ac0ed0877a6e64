#!/usr/bin/python3
"""Runs the proof of HWCAP inheritance: bare (the control), under an engine, as root or as an ordinary user.

Exit status: 0 all well, 1 a case failed or was skipped without a good reason, 77 nothing could be run.
"""

from __future__ import annotations

import argparse
import errno
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

NOBODY = 65534
# What may be skipped, by reason; a case that skips for another reason is a failure.
MAY_SKIP = {
    "PR_SET_MM_AUXV: Operation not permitted": "this user lacks CAP_SYS_RESOURCE",
    "this kernel has no PR_GET_AUXV": "Linux before 6.4",
    "no program of the other word size": "it is not built here",
    "programs of the other word size cannot run": "the kernel has no 32-bit programs",
}
MAY_SKIP_UNPRIVILEGED = {
    "needs root, to make a setuid program": "",
    "setuid programs have no privilege here": "",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpulevel", type=pathlib.Path, help="the executable; without it the proof runs bare")
    parser.add_argument("--engine", default="inherit", help="cpulevel's command and options, up to its `--`; CPULEVEL is its path")
    parser.add_argument("--proof", type=pathlib.Path, required=True)
    parser.add_argument("--other", type=pathlib.Path, help="the proof, built for the other word size")
    parser.add_argument("--user", action="store_true", help="as an ordinary user (needs root)")
    parser.add_argument("options", nargs="*", help="for the proof; after --")
    arguments = parser.parse_args()
    if arguments.user and os.geteuid() != 0:
        print("SKIPPED (needs root to become an ordinary user)")
        return 77

    try:
        subprocess.run([arguments.proof, "--list"], capture_output=True, check=False)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        print(f"SKIPPED (this kernel executes no programs like {arguments.proof.name}: {error.strerror})")
        return 77

    with tempfile.TemporaryDirectory(prefix="cpulevel-proof-") as folder:
        os.chmod(folder, 0o755)

        def reachable(path: pathlib.Path) -> str:  # a build tree need not be, for an ordinary user
            copy = pathlib.Path(folder) / path.name
            shutil.copy2(path, copy)
            copy.chmod(0o755)
            return str(copy)

        command = []
        if arguments.cpulevel:
            cpulevel = reachable(arguments.cpulevel)
            command += [cpulevel, *arguments.engine.replace("CPULEVEL", cpulevel).split(), "--"]
        command.append(reachable(arguments.proof))
        if arguments.other:
            command += ["--other", reachable(arguments.other)]
        command += arguments.options
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if arguments.user else {}
        # The proof works in a folder of its own in /tmp: it needs one without nosuid.
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, **identity)
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    if done.returncode == 77:
        return 77

    unprivileged = arguments.user or os.geteuid() != 0
    reasons = MAY_SKIP | (MAY_SKIP_UNPRIVILEGED if unprivileged else {})
    bad = [line for line in done.stdout.splitlines()
           if line.startswith("SKIPPED") and not any(reason in line for reason in reasons)]
    if bad:
        print("skipped without a good reason:", *bad, sep="\n    ")
    counts = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", done.stdout, re.MULTILINE)
    lines = len([line for line in done.stdout.splitlines() if line.startswith(("ok ", "FAILED ", "SKIPPED "))])
    if not counts or sum(map(int, counts.groups())) != lines:
        print("the counts and the lines do not agree")
        return 1
    return 1 if bad or done.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
