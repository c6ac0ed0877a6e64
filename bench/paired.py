#!/usr/bin/python3
"""Whole-process benchmarks: the same work bare and under a tool, paired.

A machine's speed drifts (other guests, temperature, caches), so two runs made one after the other differ less than two batches.
Each round runs the work bare and then under each tool; a ratio is made of each pair, and the ratios' median and spread are
reported. The order within a round is reversed every second round, so that no tool always comes first.

    bench/paired.py --cpulevel build/release/src/cli/cpulevel            to the terminal
    bench/paired.py --cpulevel ... --markdown docs/performance.md        regenerates that page, up to its first section
    bench/paired.py --cpulevel ... --tools run,inherit                   only these
    bench/paired.py --quick                                              seconds, only to see that it works
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LEVEL = "x86-64-v2"
TIME_LIMIT = 300  # seconds for one run


class Work:
    def __init__(self, name, command, unit="s", count=1, from_output=False, prepare=None):
        self.name, self.command = name, command
        self.unit, self.count = unit, count      # what the bare time is divided by, and called
        self.from_output = from_output           # the program prints its own figure (ns)
        self.prepare = prepare                   # before each run, not timed


def build_tools(folder):
    for source in HERE.glob("*.c"):
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
        subprocess.run(["cc", *flags, "-o", folder / source.stem, source], check=True)


def make_project(folder, files):
    """A C project of the usual kind: FILES objects, a library and a program, as `make` builds them; each file includes what
    C programs include and takes a compiler some 0.2 s."""
    project = folder / "project"
    project.mkdir()
    names = [f"part{i}" for i in range(files)]
    headers = "".join(f"#include <{name}.h>\n" for name in
                      ("stdio", "stdlib", "string", "errno", "math", "time", "signal", "pthread", "sys/stat", "sys/socket"))
    for i, name in enumerate(names):
        functions = "\n".join(
            f"int {name}_{j}(int x, char* to, size_t size) {{\n"
            f"    char b[64]; double sum = 0;\n"
            f"    for (int k = 0; k < x; ++k) {{ snprintf(b, sizeof b, \"%d %d\", k, {j}); sum += sqrt(strlen(b)) * {i + 1}; }}\n"
            f"    if (to && size > sizeof b) memcpy(to, b, sizeof b);\n"
            f"    switch (x % 7) {{ case 0: return {j}; case 1: return (int)sum; case 3: return errno; default: return x * {i + j}; }}\n"
            f"}}" for j in range(60))
        (project / f"{name}.c").write_text(f"{headers}{functions}\n")
    calls = "".join(f" + {name}_0(1, 0, 0)" for name in names)
    declarations = "".join(f"int {name}_0(int, char*, unsigned long);\n" for name in names)
    (project / "main.c").write_text(f"{declarations}int main(void) {{ return (0{calls}) == 1; }}\n")
    objects = " ".join(f"{name}.o" for name in names)
    (project / "Makefile").write_text(
        f"program: main.o libparts.a\n\tcc -o $@ $^ -lm\nlibparts.a: {objects}\n\tar rcs $@ $^\n"
        f"%.o: %.c\n\tcc -O2 -c -o $@ $<\n")
    return project


def program_in_languages(folder):
    """What lives on signals: a JVM's implicit null checks, Go's preemption; where the languages are installed."""
    java, go = [], []
    if shutil.which("javac") and shutil.which("java"):
        done = subprocess.run(["javac", "-d", str(folder), str(HERE / "NullChecks.java")], capture_output=True)
        if done.returncode == 0:
            java = ["java", "-Xshare:auto", "-XX:-OmitStackTraceInFastThrow", "-cp", str(folder), "NullChecks"]
    if shutil.which("go"):
        environment = {**os.environ, "GOCACHE": str(folder / "go-cache"), "GO111MODULE": "off"}
        done = subprocess.run(["go", "build", "-o", str(folder / "preempt"), str(HERE / "preempt.go")], capture_output=True,
                              env=environment)
        if done.returncode == 0:
            go = [str(folder / "preempt")]
    return java, go


def works(folder, scale):
    def many(count):
        return max(1, int(count * scale))

    tool = {source.stem: str(folder / source.stem) for source in HERE.glob("*.c")}
    project = make_project(folder, many(24))
    java, go = program_in_languages(folder)

    def clean():
        for path in [*project.glob("*.o"), project / "libparts.a", project / "program"]:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    spawns, forks, threads, shells = many(300), many(500), many(10000), many(500)
    signals, cpuids, steps = many(10000), many(2000), many(2_000_000_000)
    shell = f"i=0; while [ $i -lt {shells} ]; do /bin/true; i=$((i+1)); done"
    environment = ["/usr/bin/env", "CCACHE_DISABLE=1"]
    python = "/usr/bin/python3"
    found = [
        Work("posix_spawn + exec + exit of /bin/true", [tool["spawn"], str(spawns), "/bin/true"], "ms each", spawns / 1e3),
        Work("first exec of a file (a fresh copy of /bin/true)", [tool["cold"], str(many(100)), "/bin/true", str(folder / "copy")],
             "ns each", from_output=True),
        Work("fork, end, wait", [tool["forks"], str(forks)], "ms each", forks / 1e3),
        Work("10,000 threads, started and joined", [tool["threads"], str(threads)], "µs each", threads / 1e6),
        Work("shell loop, 500 times /bin/true", ["/bin/sh", "-c", shell], "ms each", shells / 1e3),
        Work("python3 -c pass, 20 times", [tool["spawn"], str(many(20)), python, "-c", "pass"], "ms each", many(20) / 1e3),
        Work("make -j2 of a C project, 26 compiler runs", [*environment, "make", "-s", "-j2", "-C", str(project)], prepare=clean),
        Work("CPU-bound run", [tool["compute"], str(steps)]),
        Work("10,000 SIGUSR1 to itself, handled", [tool["signals"], str(signals)], "µs each", signals / 1e6),
        Work("CPUID leaf 7, from one site", [tool["cpuid_loop"], str(cpuids), "7"], "ns each", from_output=True),
        Work("CPUID leaf 1 (has fields of the real CPU)", [tool["cpuid_loop"], str(cpuids), "1"], "ns each", from_output=True),
    ]
    if java:
        found.append(Work("JVM, 10,000 implicit null checks", [*java, str(many(1_000_000))]))
    if go:
        found.append(Work("Go, goroutines preempted by SIGURG", [*go, str(many(100_000_000))]))
    return found


def runs_here(prefix):
    """Why the tool cannot be used, or an empty text: it is used, once, not only looked for."""
    if not shutil.which(prefix[0]):
        return "not installed"
    try:
        done = subprocess.run([*prefix, "/bin/true"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60)
    except subprocess.TimeoutExpired:
        return "does not end"
    if done.returncode == 0:
        return ""
    words = done.stderr.decode(errors="replace").strip().splitlines()
    return f"exit status {done.returncode}" + (f": {words[-1]}" if words else "")


def tools(cpulevel, folder):
    found, missing = {}, {}
    candidates = {"a tracer that does nothing (bench/tracer.c)": [str(folder / "tracer")],
                  "strace -f -e trace=none": ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=none"],
                  "proot": ["proot"],
                  "qemu-x86_64 -cpu Nehalem": ["qemu-x86_64", "-cpu", "Nehalem"]}
    name = f"cpulevel run --level {LEVEL}"
    if cpulevel:
        candidates = {name: [cpulevel, "run", "--level", LEVEL, "--"],
                      "the same, with --site-cache": [cpulevel, "run", "--level", LEVEL, f"--site-cache={folder}/sites", "--"],
                      "the same, every CPUID a trap": [cpulevel, "run", "--level", LEVEL, "--trap-only", "--"],
                      "cpulevel inherit": [cpulevel, "inherit", "--"],
                      **candidates}
        kernel = [cpulevel, "run", "--engine", "kernel", "--accept-real-cpuid", "--level", LEVEL, "--"]
        if runs_here(kernel) == "":
            candidates["run --engine kernel"] = kernel
        else:
            # No kernel that inherits: under `inherit` a program meets one. To be read against `cpulevel inherit` alone.
            candidates["inherit, and in it run --engine kernel"] = [cpulevel, "inherit", "--", *kernel]
    else:
        missing[name] = "no executable: give --cpulevel"
    for candidate, prefix in candidates.items():
        # qemu-user takes a path, not a name, and does not follow execve without binfmt_misc: its children run bare.
        reason = runs_here(prefix)
        if reason:
            missing[candidate] = reason
        else:
            found[candidate] = prefix
    return found, missing


def run_once(work, prefix):
    """Seconds, or the program's own figure; None with a reason if it failed."""
    if work.prepare:
        work.prepare()
    command = list(work.command)
    command[0] = shutil.which(command[0]) or command[0]
    start = time.perf_counter()
    try:
        done = subprocess.run([*prefix, *command], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return None, f"more than {TIME_LIMIT} s"
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        return None, f"exit status {done.returncode}" + (f": {words[-1][:80]}" if words else "")
    return (float(done.stdout) if work.from_output else elapsed), None


def measure(work, used, rounds):
    bare, ratios, failed = [], {name: [] for name in used}, {}
    run_once(work, [])  # caches warm
    for round_number in range(rounds):
        order = [None, *used]
        if round_number % 2:
            order.reverse()
        values = {}
        for name in order:
            if name in failed:
                continue
            value, reason = run_once(work, used[name] if name else [])
            if reason and name is None:
                raise SystemExit(f"paired.py: bare run of \"{work.name}\" failed: {reason}")
            if reason:
                failed[name] = reason
            else:
                values[name] = value
        bare.append(values[None])
        for name in used:
            if name in values:
                ratios[name].append(values[name] / values[None])
    return bare, ratios, failed


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values):
    """Median, interquartile range, smallest and largest."""
    middle = statistics.median(values)
    if len(values) < 2:
        return f"{number(middle)} ×"
    quarters = statistics.quantiles(values, n=4, method="inclusive")
    return (f"{number(middle)} × (middle half {number(quarters[0])}–{number(quarters[2])}, "
            f"all {number(min(values))}–{number(max(values))})")


def bare_cell(work, values):
    middle = statistics.median(values)
    if not work.from_output:
        middle /= work.count
    return f"{number(middle)} {work.unit}"


def executable_figures(cpulevel, rounds):
    size = os.path.getsize(cpulevel)
    times = []
    for _ in range(max(10, rounds * 4)):
        start = time.perf_counter()
        subprocess.run([cpulevel, "--version"], stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - start) * 1e3)
    base = []
    for _ in range(max(10, rounds * 4)):
        start = time.perf_counter()
        subprocess.run(["/bin/true"], check=True)
        base.append((time.perf_counter() - start) * 1e3)
    return (f"The executable has {size / 1e6:.1f} MB; `cpulevel --version` takes {number(statistics.median(times))} ms from start to "
            f"end (smallest {number(min(times))}), /bin/true in the same way {number(statistics.median(base))} ms.")


def cpuid_faulting(cpulevel):
    """What `cpulevel check` saw, in words for the page."""
    import json
    if not cpulevel:
        return "not asked"
    done = subprocess.run([cpulevel, "check", "--json", "--no-criu"], capture_output=True)
    for line in json.loads(done.stdout)["capabilities"] if done.stdout else []:
        if line["id"] == "cpuid-faulting":
            return f"{line['works']} ({line['detail']})"
    return "unknown"


def page(arguments, used, missing, results):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    lines = ["# Performance", "",
             "Made by `bench/paired.py --markdown` from runs on one machine; regenerate it with `make bench` on yours. Each figure is "
             "the *ratio* of a run under the tool to the bare run of the same round: median, middle half, and all of "
             f"{arguments.rounds} rounds. The bare column is the median of the work itself.", "",
             f"- {datetime.date.today().isoformat()}, Linux {platform.release()}, {cpu}, {os.cpu_count()} CPUs, load before the "
             f"start {arguments.load:.1f}",
             f"- CPUID faulting: {cpuid_faulting(arguments.cpulevel)}"]
    if arguments.quick:
        lines.append("- **Made with `--quick`**: 3 rounds of very little work, in which a tool's own start counts for much. Orders of "
                     "magnitude, no more.")
    if arguments.load > 0.5:
        lines.append("- **The machine was not idle.** Others used its CPUs meanwhile; read the medians with that in mind.")
    if arguments.cpulevel:
        lines.append(f"- {executable_figures(arguments.cpulevel, arguments.rounds)}")
    lines += [f"- {name}: not measured ({reason})" for name, reason in missing.items()]
    lines += ["", "| | bare | " + " | ".join(used) + " |", "|---" * (len(used) + 2) + "|"]
    for work, (bare, ratios, failed) in results:
        cells = [f"failed: {failed[name]}" if name in failed else spread(ratios[name]) for name in used]
        lines.append(f"| {work.name} | {bare_cell(work, bare)} | " + " | ".join(cells) + " |")
    lines.append("")
    if any("qemu" in name for name in used):
        lines += ["qemu-x86_64 does not follow exec: programs that an emulated one starts run bare (unless binfmt_misc is set up for "
                  "it), so its exec figures are for one emulated parent. The tracer that does nothing is the least that anything built on "
                  "ptrace can cost; strace and proot show what others do.", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpulevel", help="the executable; without it only the other tools are measured")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--scale", type=float, default=1.0, help="work for each run, 1.0 is about a second")
    parser.add_argument("--only", help="only the works with this text in their name")
    parser.add_argument("--tools", metavar="TEXT,...", help="only the tools with one of these in their name")
    parser.add_argument("--quick", action="store_true", help="3 rounds of little work: to see that it works")
    parser.add_argument("--markdown", metavar="FILE", help="write the page there")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.scale = 3, 0.02
    arguments.load = os.getloadavg()[0]
    if arguments.cpulevel:
        arguments.cpulevel = str(pathlib.Path(arguments.cpulevel).resolve(strict=True))
    with tempfile.TemporaryDirectory(prefix="cpulevel-bench-") as name:
        folder = pathlib.Path(name)
        build_tools(folder)
        used, missing = tools(arguments.cpulevel, folder)
        if arguments.tools:
            wanted = arguments.tools.split(",")
            used = {name: prefix for name, prefix in used.items() if any(text in name for text in wanted)}
            missing = {name: reason for name, reason in missing.items() if any(text in name for text in wanted)}
        results = []
        for work in works(folder, arguments.scale):
            if arguments.only and arguments.only not in work.name:
                continue
            results.append((work, measure(work, used, arguments.rounds)))
            print(f"{work.name}: done", file=sys.stderr)
    text = page(arguments, used, missing, results)
    if arguments.markdown and os.path.exists(arguments.markdown):
        # What stands in sections of its own is written by hand, or by bench/stops.py.
        _, heading, rest = pathlib.Path(arguments.markdown).read_text().partition("\n## ")
        text += heading + rest
    if arguments.markdown:
        target = pathlib.Path(arguments.markdown)
        temporary = target.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(target)
    else:
        print(text)
    cpulevel_failures = [reason for _, (_, _, failed) in results for name, reason in failed.items() if "cpulevel" in name]
    if any("cpulevel" in name for name in missing) and arguments.cpulevel or cpulevel_failures:
        print("paired.py: cpulevel failed in some work: see the table", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
