#!/usr/bin/python3
"""Runs the system tests: one line for each, `ok`, `FAILED` or `SKIPPED (reason)`; the last line counts them.

Exit status: 0 none failed, 1 some failed, 2 wrong usage, 77 nothing could be run (all skipped).
"""

from __future__ import annotations

import argparse
import os
import pathlib
import pickle
import select
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import machine  # noqa: E402
from harness.case import Failed, Skipped, Test, collect  # noqa: E402
from harness.context import Context  # noqa: E402
from harness.process import become_subreaper, descendants, end_leftovers, process_table  # noqa: E402


def run_here(test: Test, arguments: argparse.Namespace) -> tuple[str, str]:
    """In the test's own process: (verdict, explanation)."""
    become_subreaper()
    context = Context(arguments.cpulevel, arguments.victims, arguments.torture)
    try:
        test.run(context, test.variant) if test.variant else test.run(context)
        verdict = ("ok", "")
    except Skipped as reason:
        verdict = ("SKIPPED", str(reason))
    except Failed as reason:
        verdict = ("FAILED", str(reason))
    except Exception:
        verdict = ("FAILED", traceback.format_exc())
    left = end_leftovers(grace=3 if verdict[0] == "ok" else 0)
    if left and verdict[0] == "ok":
        verdict = ("FAILED", f"left processes behind\n{left}")
    context.close()
    return verdict


def kill_tree(root: int) -> None:
    for pid in [*descendants(root), root]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run_in_process(test: Test, arguments: argparse.Namespace) -> tuple[str, str]:
    """Each test has a process of its own: it can be ended when its time is over, and its orphans can be found."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(run_here(test, arguments), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        if select.select([pipe], [], [], test.timeout * arguments.patience)[0]:
            answer = pipe.read()
        else:
            answer = pickle.dumps(("FAILED", f"took longer than {test.timeout} s\n{process_table(child)}"))
            kill_tree(child)
    os.waitpid(child, 0)
    return pickle.loads(answer) if answer else ("FAILED", "the test's process died")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpulevel", type=pathlib.Path, required=True, help="the executable to test")
    parser.add_argument("--victims", type=pathlib.Path, required=True, help="folder of the built victims")
    parser.add_argument("--filter", default="", help="only tests whose name contains this (several: comma-separated)")
    parser.add_argument("--torture", action="store_true", help="the full numbers of the torture tests")
    parser.add_argument("--patience", type=float, default=1, help="factor on all time limits (sanitizer builds)")
    parser.add_argument("--list", action="store_true", help="print the names of the tests and end")
    arguments = parser.parse_args()
    arguments.cpulevel, arguments.victims = arguments.cpulevel.resolve(), arguments.victims.resolve()
    machine.VICTIMS = arguments.victims

    wanted = arguments.filter.split(",")
    tests = [test for test in collect(HERE / "cases") if any(part in test.name for part in wanted)]
    if arguments.list:
        print("\n".join(test.name for test in tests))
        return 0
    if not tests:
        parser.error(f"no test's name contains {arguments.filter!r}")
    for what, path in (("cpulevel", arguments.cpulevel), ("victims", arguments.victims / "print_level")):
        if not os.access(path, os.X_OK):
            parser.error(f"--{what}: {path} cannot be executed")

    become_subreaper()
    counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}
    failed = []
    for test in tests:
        start = time.monotonic()
        verdict, explanation = run_in_process(test, arguments)
        end_leftovers(grace=0)
        counts[verdict] += 1
        took = f"{time.monotonic() - start:.2f} s"
        if verdict == "SKIPPED":
            print(f"SKIPPED  {test.name} ({' '.join(explanation.split())})", flush=True)
        else:
            print(f"{verdict:8} {test.name} ({took})", flush=True)
        if verdict == "FAILED":
            failed.append(test.name)
            print("    " + explanation.rstrip().replace("\n", "\n    "), flush=True)
    if failed:
        print("failed: " + " ".join(failed))
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['SKIPPED']} skipped")
    if counts["FAILED"]:
        return 1
    return 0 if counts["ok"] else 77


if __name__ == "__main__":
    sys.exit(main())
