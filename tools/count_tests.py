#!/usr/bin/python3
"""Counts test results: tools/count_tests.py FILE.xml, or --total FOLDER for everything that tools/test.sh ran.

Reads ctest's JUnit files. A test that is a runner of its own and closes with "N passed, N failed, N skipped" counts as
that many. A skipped test is counted as skipped and its reason is printed. The exit status is 0 if nothing failed.
"""
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

MOST_LINES = 25  # of a failed test, at the end of everything: where only the end of a log is kept, it says what failed
OWN_COUNT = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped\s*$", re.MULTILINE)
GTEST_SKIP = re.compile(r": Skipped\n(.*?)(?=\n\n|\n\[|\Z)", re.DOTALL)
OWN_SKIP = re.compile(r"^SKIP(?:PED)?\b[: ]*(.+)$", re.MULTILINE)


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.telling = []  # of each failure
        self.reasons = collections.Counter()

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.telling += other.telling
        self.reasons.update(other.reasons)

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def skip_reasons(output):
    found = GTEST_SKIP.findall(output) or OWN_SKIP.findall(output)
    return [" ".join(reason.split()) for reason in found]


def telling_lines(output):
    """What a failed test says of it: each line that names a failure, with what explains it below; or else its last words."""
    lines = [line[:300] for line in output.splitlines() if line.strip()]
    telling = []
    explaining = 0
    for line in lines:
        if re.match(r"\s*(FAILED|failed|not ok)\b|.*(: Failure$|ERROR: \w+Sanitizer|runtime error:)", line):
            explaining = 9
        elif re.match(r"(ok|SKIPPED|\[)", line):
            explaining = 0
        if explaining:
            explaining -= 1
            telling.append(line)
    return (telling or lines)[-MOST_LINES:]


def count_case(case):
    count = Count()
    name = case.get("name", "?")
    output = case.findtext("system-out") or ""
    own = OWN_COUNT.findall(output)
    reasons = skip_reasons(output)
    if own:
        count.passed, count.failed, count.skipped = (int(number) for number in own[-1])
        count.reasons.update(reasons)
        if case.find("failure") is not None and count.failed == 0:
            count.failed = 1  # it counted no failure and still failed: a crash at its end, a sanitizer report
        if count.failed:
            count.failures.append(name)
    elif case.find("failure") is not None or case.find("error") is not None:
        count.failed = 1
        count.failures.append(name)
    elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        count.skipped = 1
        count.reasons.update(reasons[:1] or ["no reason given: " + name])
    else:
        count.passed = 1
    if count.failures:
        count.telling = [telling_lines(output)]
    return count


def count_file(path):
    total = Count()
    for case in ElementTree.parse(path).iter("testcase"):
        total.add(count_case(case))
    return total


def report(count, prefix=""):
    for reason, times in sorted(count.reasons.items()):
        print(f"{prefix}skipped {times}x: {reason}")
    for name in count.failures:
        print(f"{prefix}FAILED: {name}")


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--total":
        folder = pathlib.Path(arguments[1])
        total = Count()
        for path in sorted(folder.glob("*.xml")):
            one = count_file(path)
            for name, lines in zip(one.failures, one.telling):
                print(f"FAILED in {path.stem}: {name}")
                print("".join(f"    {line}\n" for line in lines), end="")
            total.add(one)
        broken = folder / "broken"
        for line in broken.read_text().splitlines() if broken.exists() else []:
            print(f"FAILED: {line}")
            total.failed += 1
        print(total.line())
    elif len(arguments) == 1:
        total = count_file(arguments[0])
        report(total, "  ")
        print("  " + total.line())
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
