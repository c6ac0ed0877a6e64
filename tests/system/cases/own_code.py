"""CPUID that is answered from memory, and what a program may do with its own text meanwhile."""

import os
import re
import stat
import subprocess

from harness import Context, each, test

# Text comes back as the file has it: from then on that place is out of our hands, without CPUID faulting.
SHOWS_THE_REAL_CPU_AFTER = ("remap",)


@each("threads", "fork", "vfork", "mprotect", "remap", "move", "stubs_unmapped", "stubs_overmapped")
def whatever_it_does(t: Context, mode: str) -> None:
    """Nothing crashes, the program's own mappings win, and the answer stays the level's."""
    victim = t.victim("own_code")
    bare = t.ok(t.bare(victim, mode))
    levelled = t.ok(t.levelled(victim, mode))
    t.equal(levelled.facts["failed"], "0", "the mode itself")
    if int(bare.facts["before"], 16) >> 5 & 1:  # AVX2
        t.equal(int(levelled.facts["before"], 16) >> 5 & 1, 0, "AVX2 at level x86-64-v2")
    if mode not in SHOWS_THE_REAL_CPU_AFTER:
        t.equal(levelled.facts["after"], levelled.facts["before"], "the answer afterwards")


@test
def reads_its_own_text(t: Context) -> None:
    """It sees the jump; with --no-patch it sees what the file has."""
    victim = t.victim("own_code")
    t.equal(t.ok(t.levelled(victim)).facts["site"], "jump", "what stands where CPUID stood")
    t.equal(t.ok(t.levelled(victim, options=("--no-patch",))).facts["site"], "cpuid", "with --no-patch")


@test
def trap_only(t: Context) -> None:
    """--trap-only answers the same, by a stop."""
    victim = t.victim("own_code")
    from_memory = t.ok(t.levelled(victim))
    trapped = t.ok(t.levelled(victim, options=("--trap-only",)))
    t.equal(trapped.facts["before"], from_memory.facts["before"], "answer")
    t.check(trapped.facts["site"] != "jump", "a jump stands there with --trap-only")


@test
def areas_have_a_name(t: Context) -> None:
    """/proc/PID/maps says whose the added memory is, where the kernel can."""
    text = open("/proc/self/maps").read()
    levelled = t.ok(t.levelled("cat", "/proc/self/maps"))
    added = [line for line in levelled.out.splitlines() if " r-xp " in line and " 00:00 0 " in line and "[vdso]" not in line
             and "[vsyscall]" not in line]
    t.check(added, f"no added executable mapping in\n{levelled.out}\n(bare: {text})")
    probe = subprocess.run(["python3", "-c",
                            "import ctypes, mmap; m = mmap.mmap(-1, 4096); "
                            "a = ctypes.addressof(ctypes.c_char.from_buffer(m)); c = ctypes.CDLL(None); "
                            "raise SystemExit(0 if c.prctl(0x53564d41, 0, ctypes.c_void_p(a), ctypes.c_size_t(4096), b'x') == 0 else 1)"])
    if probe.returncode != 0:
        t.skip("this kernel cannot name memory (CONFIG_ANON_VMA_NAME)")
    t.check(all(line.endswith("[anon:cpulevel]") for line in added), f"without a name:\n{added}")


@test
def site_cache(t: Context) -> None:
    """--site-cache: private files, the same answers with them, none of its content believed that is not whole and ours."""
    victim, folder = t.victim("own_code"), t.scratch / "sites"
    options = (f"--site-cache={folder}",)
    first = t.ok(t.levelled(victim, options=options))
    records = sorted(folder.iterdir())
    t.check(len(records) >= 3, f"records of program, loader and libc: {records}")
    t.equal(stat.S_IMODE(folder.stat().st_mode), 0o700, "mode of the folder")
    for record in records:
        t.equal(stat.S_IMODE(record.stat().st_mode), 0o600, f"mode of {record.name}")
    before = {record: record.stat().st_mtime_ns for record in records}
    second = t.ok(t.levelled(victim, options=options))
    t.equal(second.out, first.out, "what is seen with records")
    t.equal({record: record.stat().st_mtime_ns for record in sorted(folder.iterdir())}, before, "records that were used, not made again")

    for spoil in (b"", b"nonsense", None):
        for record in records:
            content = record.read_bytes()
            record.write_bytes(content[:len(content) // 2] if spoil is None else spoil)
        t.equal(t.ok(t.levelled(victim, options=options)).out, first.out, f"what is seen with spoilt records ({spoil!r})")
    # One whose content is right, of another file: by name it is this one's.
    largest, smallest = sorted(records, key=lambda record: record.stat().st_size)[-1], records[0]
    if largest != smallest:
        smallest.write_bytes(largest.read_bytes())
    t.equal(t.ok(t.levelled(victim, options=options)).out, first.out, "what is seen with a foreign record")
    # A link, and a file that others can write, are no records.
    largest.rename(t.scratch / "elsewhere")
    largest.symlink_to(t.scratch / "elsewhere")
    t.equal(t.ok(t.levelled(victim, options=options)).out, first.out, "what is seen with a link")
    folder.chmod(0o770)
    refused = t.levelled(victim, options=options)
    t.equal(refused.exit, 125, "status with a folder that others can write")
    t.check("not yours alone" in refused.err + refused.messages, str(refused))
    folder.chmod(0o700)
    link = t.scratch / "link"
    link.symlink_to(folder)
    t.equal(t.levelled(victim, options=(f"--site-cache={link}",)).exit, 125, "status with a link to a folder")


@test
def a_signal_costs_two_system_calls(t: Context) -> None:
    """A signal that passes through costs the supervisor one wait and one PTRACE_CONT; counted by strace."""
    strace = t.tool("strace")
    count, output = 500, t.scratch / "calls"
    # The program waits at a FIFO until strace is attached to the supervisor.
    fifo = t.scratch / "go"
    os.mkfifo(fifo)
    script = f"read x < {fifo}; i=0; trap : USR1; while [ $i -lt {count} ]; do kill -USR1 $$; i=$((i+1)); done"
    running = t.start_levelled("sh", "-c", script)
    supervisor = None
    while supervisor is None:
        for entry in os.listdir("/proc"):
            try:
                status = open(f"/proc/{entry}/status").read() if entry.isdigit() else ""
            except OSError:
                continue
            if "Name:\tcpulevel-trace" in status and f"PPid:\t{running.pid}" in status:
                supervisor = entry
    tracer = subprocess.Popen([strace, "-qq", "-e", "trace=all", "-p", supervisor, "-o", output], stderr=subprocess.PIPE, text=True)
    while f"TracerPid:\t{tracer.pid}" not in open(f"/proc/{supervisor}/status").read():
        if tracer.poll() is not None:
            t.skip(f"strace cannot attach: {tracer.stderr.read()}")
    with open(fifo, "w") as go:
        go.write("\n")
    t.ok(running.wait(120))
    tracer.wait(60)
    calls = [line for line in output.read_text().splitlines() if re.match(r"\w+\(", line)]
    passed = sum("PTRACE_CONT" in line and "SIGUSR1" in line for line in calls)
    t.equal(passed, count, "signals passed on")
    passes = [at for at, line in enumerate(calls) if "PTRACE_CONT" in line and "SIGUSR1" in line]
    for before, at in zip(passes, passes[1:]):
        t.equal(at - before, 2, f"system calls for a signal: {calls[before + 1:at + 1]}")
