#!/usr/bin/python3
"""How long `cpulevel baseline` takes for fleets of 1,000 to 1,000,000 nodes, and how much memory.

    bench/fleet.py CPULEVEL GENERATOR [FOLDER]

CPULEVEL and GENERATOR (bench_fleet_nodes) are executables of a release build. FOLDER is where node files go (default: a
temporary one); they are read once before measuring, so that they are in the page cache. A million nodes do not fit
there: they come as JSON lines from a pipe. Each figure is the best of three runs."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time


def measured(command, runs=3, **options):
    """(seconds, seconds of CPU, peak MiB) of the best run."""
    best = None
    for _ in range(runs):
        begin = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, **options) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begin
        if process.returncode != 0:
            sys.exit(f"{command}: exit status {process.returncode}")
        if best is None or took < best[0]:
            best = (took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return best


def row(what, count, figures):
    took, cpu, memory = figures
    print(f"{what:<34} {count:>9,} {took:>8.3f} s {took / count * 1e6:>8.1f} us {cpu:>8.3f} s {memory:>7.0f} MiB", flush=True)


def main():
    program, generator = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as folder:
        folder = pathlib.Path(folder)
        print(f"{'':<34} {'nodes':>9} {'time':>10} {'a node':>11} {'CPU':>10} {'peak':>11}")
        for count in (1000, 10000, 100000):
            nodes = folder / str(count)
            subprocess.run([generator, "folder", nodes, str(count)], check=True, stderr=subprocess.DEVNULL)
            measured([program, "baseline", nodes], runs=1)
            row("folder", count, measured([program, "baseline", nodes]))
        with open(folder / "nodes.tar", "wb") as tar:
            subprocess.run([generator, "tar", "100000"], stdout=tar, check=True, stderr=subprocess.DEVNULL)
        row("tar", 100000, measured([program, "baseline", folder / "nodes.tar"]))
        os.remove(folder / "nodes.tar")
        with open(folder / "nodes.jsonl", "wb") as lines:
            subprocess.run([generator, "lines", "100000"], stdout=lines, check=True, stderr=subprocess.DEVNULL)
        for _ in range(1):
            with open(folder / "nodes.jsonl", "rb") as lines:
                row("JSON lines, standard input", 100000, measured([program, "baseline", "-"], runs=1, stdin=lines))
        os.remove(folder / "nodes.jsonl")

        level = folder / "fleet.json"
        subprocess.run([program, "baseline", folder / "100000", "--updatable", "-o", level], check=True, stdout=subprocess.DEVNULL)
        new = folder / "new.json"
        text = next((folder / "100000" / "0000").iterdir()).read_text()
        new.write_text(text.replace("node0", "added"))
        row("--update, one node more", 1, measured([program, "baseline", "--update", level, new, "-o", folder / "updated.json"]))
        row("--update, one node less", 1, measured([program, "baseline", "--update", level, "--remove", "node0000007",
                                                    "-o", folder / "updated.json"]))
        row("pools --pools 3", 100000, measured([program, "pools", "--pools", "3", folder / "100000"]))

        for count in (100000, 1000000):
            with subprocess.Popen([generator, "lines", str(count)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
                row("JSON lines from a pipe (with maker)", count, measured([program, "baseline", "-"], runs=1, stdin=source.stdout))


if __name__ == "__main__":
    main()
