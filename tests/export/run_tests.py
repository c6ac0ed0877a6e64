#!/usr/bin/python3
"""Exports, each held against the tool that it is for: run_tests.py --cpulevel FILE [--only MODULE]

A test that needs a tool which is not here is skipped with that reason. The last line counts.
Exit status: 0 none failed, 1 some failed, 77 nothing could be run.
"""

import argparse
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import common  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpulevel", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="*", help="one module: loader, runtimes, ...")
    arguments = parser.parse_args()
    common.CPULEVEL = arguments.cpulevel.resolve()
    suite = unittest.defaultTestLoader.discover(HERE, pattern=f"test_{arguments.only}.py", top_level_dir=HERE)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    for _, reason in result.skipped:
        print(f"SKIPPED ({' '.join(reason.split())})")
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    if failed or not result.testsRun:
        return 1
    return 77 if skipped == result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
