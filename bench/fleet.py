#!/usr/bin/python3
"""How long `cpulevel baseline` takes for fleets of 1,000 to 1,000,000 nodes, and how much memory.

    bench/fleet.py CPULEVEL GENERATOR [FOLDER]

CPULEVEL and GENERATOR (bench_fleet_nodes) are executables of a release build. FOLDER is where node files go (default: a
temporary one); they are read once before measuring, so that they are in the page cache. A million nodes do not fit
there: they come as JSON lines from a pipe. Each figure is the median of five runs, with the smallest and the largest. Where other
programs are busy, CPU time says more than elapsed time. The output is the table of docs/fleets.md."""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


RUNS = 5


def measured(command, runs=RUNS, open_input=None):
    """Per run: seconds, seconds of CPU, peak MiB."""
    found = []
    for _ in range(runs):
        source = open_input() if open_input else None
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=getattr(source, "stdout", source)) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begin
        if isinstance(source, subprocess.Popen):
            source.stdout.close()
            source.wait()
        elif source:
            source.close()
        if process.returncode != 0:
            sys.exit(f"{command}: exit status {process.returncode}")
        found.append((took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    return found


def row(what, count, runs):
    def spread(at):
        values = sorted(run[at] for run in runs)
        return f"{statistics.median(values):.3f} s ({values[0]:.3f} to {values[-1]:.3f})"

    cpu = statistics.median(run[1] for run in runs)
    each = f"{cpu / count * 1e6:.1f} us" if count > 1 else ""
    print(f"| {what} | {count:,} | {spread(0)} | {spread(1)} | {each} | {max(run[2] for run in runs):.0f} MiB |", flush=True)


def main():
    program, generator = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as folder:
        folder = pathlib.Path(folder)
        print("| | nodes | elapsed | CPU | CPU a node | peak memory |\n|---|---|---|---|---|---|")
        for count in (1000, 10000, 100000):
            nodes = folder / str(count)
            subprocess.run([generator, "folder", nodes, str(count)], check=True, stderr=subprocess.DEVNULL)
            measured([program, "baseline", nodes], runs=1)
            row("folder", count, measured([program, "baseline", nodes]))
        for models in (12, 40):
            with open(folder / "nodes.tar", "wb") as tar:
                subprocess.run([generator, "tar", "100000", str(models)], stdout=tar, check=True, stderr=subprocess.DEVNULL)
            row(f"tar, {models} CPUs", 100000, measured([program, "baseline", folder / "nodes.tar"]))
        os.remove(folder / "nodes.tar")
        with open(folder / "nodes.jsonl", "wb") as lines:
            subprocess.run([generator, "lines", "100000", "40"], stdout=lines, check=True, stderr=subprocess.DEVNULL)
        row("JSON lines, 40 CPUs, standard input", 100000,
            measured([program, "baseline", "-"], open_input=lambda: open(folder / "nodes.jsonl", "rb")))
        os.remove(folder / "nodes.jsonl")

        level = folder / "fleet.json"
        subprocess.run([program, "baseline", folder / "100000", "--updatable", "-o", level], check=True, stdout=subprocess.DEVNULL)
        new = folder / "new.json"
        text = next((folder / "100000" / "0000").iterdir()).read_text()
        new.write_text(text.replace("node0", "added"))
        updated = folder / "updated.json"
        row("`--update` of 100,000, one node more", 1, measured([program, "baseline", "--update", level, new, "-o", updated]))
        row("`--update` of 100,000, one node less", 1,
            measured([program, "baseline", "--update", level, "--remove", "node0000007", "-o", updated]))
        row("(to start at all: `--version`)", 1, measured([program, "--version"]))
        row("pools --pools 3", 100000, measured([program, "pools", "--pools", "3", folder / "100000"]))
        row("compare x86-64-v3", 100000, measured(["sh", "-c", '"$1" compare x86-64-v3 "$2"; test $? -le 1', "-", program, folder / "100000"]))
        row("JSON lines from a pipe, as fast as they were made", 1000000, measured([program, "baseline", "-"], open_input=lambda: subprocess.Popen(
            [generator, "lines", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)))


if __name__ == "__main__":
    main()
