#!/usr/bin/python3
"""What the supervisor does for one exec, fork, thread, signal and trap: stops of the program and system calls, counted.

Counts do not depend on how busy the machine is. strace watches the supervisor (not the program, which has a tracer already)
while a program does the same thing N times and then 3 N times; the difference, divided, is what one costs: starting and ending
drop out.

    bench/stops.py --cpulevel build/release/src/cli/cpulevel                                to the terminal
    bench/stops.py --cpulevel ... --markdown docs/performance.md   regenerates that page's section "Stop accounting"
"""

import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LEVEL = "x86-64-v2"
FEW, MORE = 40, 120

# Of each stop that is there, why it is there.
WHY = {
    "fork": "a process was born; its parent says so. Without it the child could not be told from a stranger's",
    "vfork": "the same, of posix_spawn",
    "clone": "the same, of a thread: what it forks or executes must be followed",
    "first stop": "of what was born: PTRACE_SEIZE gives each new thread one, and nothing turns it off",
    "exec": "the new program is in place and has not run: everything is levelled here",
    "trap": "the end of the few instructions that a program runs for us before its own",
    "fault": "a CPUID that memory does not answer, or a loader that has mapped code",
    "signal": "every signal stops a traced thread before it is delivered",
    "end": "not a stop: the wait that tells of the end of a thread",
    "other": "",
}


def kind_of(status):
    """The kind of a wait's result, as strace prints it."""
    if "WIFEXITED" in status or "WIFSIGNALED" in status:
        return "end"
    event = re.search(r"PTRACE_EVENT_(\w+)", status)
    if event:
        return {"FORK": "fork", "VFORK": "vfork", "CLONE": "clone", "EXEC": "exec", "STOP": "first stop"}.get(event[1], "other")
    signal = re.search(r"WSTOPSIG\(s\) == (\w+)", status)
    return {"SIGTRAP": "trap", "SIGSEGV": "fault"}.get(signal[1] if signal else "", "signal")


def tracer_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    raise SystemExit(f"stops.py: no TracerPid of {pid}")


def count(prefix, command, folder):
    """Stops by kind and system calls by name while `command` runs."""
    # The shell waits in `read` until strace is there; what it becomes is the work.
    run = subprocess.Popen([*prefix, "/bin/sh", "-c", 'echo $$; read go; exec "$@"', "sh", *command], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    shell = int(run.stdout.readline())
    log = folder / "strace"
    strace = subprocess.Popen(["strace", "-o", log, "-p", str(tracer_of(shell))], stderr=subprocess.PIPE, text=True)
    for line in strace.stderr:
        if "attached" in line:
            break
    else:
        raise SystemExit("stops.py: strace cannot attach to the supervisor")
    run.stdin.write("go\n")
    run.stdin.close()
    run.stdout.read()
    if run.wait() != 0:
        raise SystemExit(f"stops.py: {command} failed")
    strace.wait()
    stops, calls = collections.Counter(), collections.Counter()
    for line in log.read_text().splitlines():
        name = re.match(r"(\w+)\(", line)
        if not name:
            continue
        label = name[1]
        if label == "ptrace":
            label = re.match(r"ptrace\((\w+)", line)[1]
        calls[label] += 1
        status = re.match(r"(?:wait4|waitid)\(-1, \[(.*)\]", line)
        if status:
            stops[kind_of(status[1])] += 1
    return stops, calls


def per_one(prefix, command, folder):
    few, more = (count(prefix, command(n), folder) for n in (FEW, MORE))

    def difference(index):
        result = {key: (more[index][key] - few[index][key]) / (MORE - FEW) for key in more[index] | few[index]}
        return {key: value for key, value in result.items() if value >= 0.05}

    return difference(0), difference(1)


def number(value):
    return f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}"


def works(tool):
    return {
        "posix_spawn, exec and end of /bin/true": ([], lambda n: [tool["spawn"], str(n), "/bin/true"]),
        "the same, first exec of each file": ([], lambda n: [tool["cold"], str(n), "/bin/true", str(tool["folder"] / "copy")]),
        "fork and end": ([], lambda n: [tool["forks"], str(n)]),
        "thread": ([], lambda n: [tool["threads"], str(n)]),
        "signal, handled": ([], lambda n: [tool["signals"], str(n)]),
        "CPUID, from memory": ([], lambda n: [tool["cpuid_loop"], str(n), "7"]),
        "CPUID, a trap": (["--trap-only"], lambda n: [tool["cpuid_loop"], str(n), "7"]),
    }


def replace_section(page, text):
    heading = "## Stop accounting\n"
    start = (f"{heading}Made by `bench/stops.py --markdown`: what the supervisor does for one of each, counted by `strace` while a program "
             f"does it {FEW} and {MORE} times. Starting and ending drop out, and a busy machine changes no count.\n\n")
    before, found, rest = page.read_text().partition(heading)
    _, following, after = rest.partition("\n## ")
    if not found:
        before += "\n"
    temporary = page.with_suffix(".new")
    temporary.write_text(before + start + text + following + after)
    temporary.rename(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpulevel", required=True)
    parser.add_argument("--markdown", metavar="FILE", help="write that page's section")
    parser.add_argument("--only", help="only the works with this text in their name")
    arguments = parser.parse_args()
    cpulevel = str(pathlib.Path(arguments.cpulevel).resolve(strict=True))
    if not shutil.which("strace"):
        raise SystemExit("stops.py: strace is not installed")
    seen = set()
    rows, details = [], []
    with tempfile.TemporaryDirectory(prefix="cpulevel-stops-") as name:
        folder = pathlib.Path(name)
        tool = {"folder": folder}
        for source in ("spawn", "cold", "forks", "threads", "signals", "cpuid_loop"):
            tool[source] = str(folder / source)
            subprocess.run(["cc", "-O2", "-pthread", "-o", tool[source], HERE / f"{source}.c"], check=True)
        for label, (options, command) in works(tool).items():
            if arguments.only and arguments.only not in label:
                continue
            stops, calls = per_one([cpulevel, "run", "--level", LEVEL, *options, "--"], command, folder)
            seen |= set(stops)
            kinds = ", ".join(f"{number(stops[kind])} {kind}" for kind in WHY if kind in stops) or "none"
            true_stops = sum(value for kind, value in stops.items() if kind != "end")
            rows.append(f"| {label} | {number(true_stops)} | {kinds} | {number(sum(calls.values()))} |")
            listed = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
            details.append(f"- {label}: " + (", ".join(f"{number(value)} {key}" for key, value in listed) or "nothing"))
    text = "\n".join(
        ["| for each | stops | which | system calls of the supervisor |", "|---|---|---|---|", *rows, "", "The stops:", "",
         *(f"- *{kind}*: {why}." for kind, why in WHY.items() if kind in seen and why), "",
         "The system calls, with `ptrace` by request:", "", *details, ""])
    if arguments.markdown:
        replace_section(pathlib.Path(arguments.markdown), text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
