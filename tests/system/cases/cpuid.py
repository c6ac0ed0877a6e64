"""What the CPUID instruction answers."""

import json

from harness import Context, each, test

SUBLEAF_LEAVES = range(8)


def answers(run) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """(leaf, subleaf) -> (eax, ebx, ecx, edx) of what print_cpuid printed."""
    found = {}
    for key, value in run.facts.items():
        leaf, _, subleaf = key.partition(":")
        found[int(leaf, 16), int(subleaf, 16)] = tuple(int(word, 16) for word in value.split())
    return found


@each("print_cpuid", "print_cpuid_32")
def every_leaf(t: Context, program: str) -> None:
    """Every leaf that is announced, and some beyond: no feature bit that the machine lacks, none beyond the level."""
    victim = t.victim(program)
    bare = answers(t.ok(t.bare(victim, "--walk")))
    levelled = answers(t.ok(t.levelled(victim, "--walk")))
    t.check(levelled[0, 0][0] <= bare[0, 0][0], "the maximum basic leaf is larger than the machine's")
    t.check(levelled[0x80000000, 0][0] <= bare[0x80000000, 0][0], "the maximum extended leaf is larger than the machine's")
    for leaf, register in ((1, 2), (1, 3), (7, 1), (7, 2), (7, 3), (0x80000001, 2), (0x80000001, 3)):
        if leaf == 7 and levelled[0, 0][0] < 7:
            continue
        extra = levelled[leaf, 0][register] & ~bare[leaf, 0][register]
        t.check(extra == 0, f"leaf {leaf:x} register {register} has bits {extra:08x} that the machine has not")
    t.equal(levelled[1, 0][2] >> 26 & 0b111, 0, "XSAVE, OSXSAVE and AVX")
    if levelled[0, 0][0] >= 7:
        t.equal(levelled[7, 0][1] >> 5 & 1, 0, "AVX2")
    if levelled[0, 0][0] >= 0xD:
        t.equal(levelled[0xD, 0], (0, 0, 0, 0), "leaf 0xD with OSXSAVE hidden")


@test
def beyond_the_maximum(t: Context) -> None:
    """Leaves above the level's own maximum answer as a CPU does: zeros (AMD) or the highest basic leaf (Intel)."""
    victim = t.victim("print_cpuid")
    maximum = answers(t.ok(t.levelled(victim, "0")))[0, 0][0]
    leaves = [maximum + 1, maximum + 0x20, 0x20000000, 0x7FFFFFFF]
    run = t.ok(t.levelled(victim, f"{maximum:x}", *(f"{leaf:x}" for leaf in leaves)))
    found = answers(run)
    allowed = {(0, 0, 0, 0), found[maximum, 0]}
    for leaf in leaves:
        t.check(found[leaf, 0] in allowed, f"leaf {leaf:x}: {found[leaf, 0]}, the highest basic leaf has {found[maximum, 0]}")


@test
def same_on_every_ask(t: Context) -> None:
    """All but the live fields are the same each time, in every process."""
    leaves = [f"{leaf:x}" for leaf in (0, 7, 0xD, 0x80000000, 0x80000001, 0x80000008)]
    first = t.ok(t.levelled(t.victim("print_cpuid"), *leaves))
    second = t.ok(t.levelled(t.victim("print_cpuid"), *leaves))
    t.equal(first.out, second.out, "answers of two runs")


@test
def levels_differ(t: Context) -> None:
    """x86-64, x86-64-v2, x86-64-v3 and short forms show what they name, where the machine has it."""
    victim = t.victim("print_level")
    bare = t.ok(t.bare(victim))
    bits = {"SSE4.2": ("leaf1.ecx", 20), "POPCNT": ("leaf1.ecx", 23), "AVX": ("leaf1.ecx", 28), "AES": ("leaf1.ecx", 25),
            "AVX2": ("leaf7.ebx", 5), "BMI2": ("leaf7.ebx", 8), "AVX512F": ("leaf7.ebx", 16)}
    v3_needs = ("AVX", "AVX2", "BMI2")
    expected = {"x86-64": set(), "x86-64-v2": {"SSE4.2", "POPCNT"}, "x86-64-v3": {"SSE4.2", "POPCNT", *v3_needs},
                "x86-64-v2+aes": {"SSE4.2", "POPCNT", "AES"}, "x86-64-v2-popcnt": {"SSE4.2"}}
    if any(not bare.number(fact) >> bit & 1 for fact, bit in (bits[name] for name in (*v3_needs, "AES"))):
        t.skip("this machine is not x86-64-v3 with AES")
    for level, shown in expected.items():
        levelled = t.ok(t.levelled(victim, level=level))
        found = {name for name, (fact, bit) in bits.items() if levelled.number(fact) >> bit & 1}
        t.equal(found, shown, f"features shown at {level}")


@test
def level_of_this_machine(t: Context) -> None:
    """scan, baseline, run: at its own level the machine shows what it has (but what is never shown)."""
    node, level = t.scratch / "node.json", t.scratch / "level.json"
    t.ok(t.bare(t.cpulevel, "scan", "-o", node))
    t.ok(t.bare(t.cpulevel, "baseline", node, "-o", level))
    t.equal(json.loads(level.read_text())["schema"], "cpulevel/level/1", "schema of the level")
    victim = t.victim("print_level")
    bare, levelled = t.ok(t.bare(victim)), t.ok(t.levelled(victim, level=level))
    t.equal(levelled.facts["hwcap2"], bare.facts["hwcap2"], "AT_HWCAP2")
    t.equal(levelled.facts["minsigstksz"], bare.facts["minsigstksz"], "AT_MINSIGSTKSZ")
    user_bits = {"leaf1.ecx": (0, 1, 9, 12, 13, 19, 20, 22, 23, 25, 26, 27, 28, 29), "leaf7.ebx": (3, 5, 8, 16, 29, 31)}
    for fact, bits in user_bits.items():
        mask = sum(1 << bit for bit in bits)
        t.equal(hex(levelled.number(fact) & mask), hex(bare.number(fact) & mask), fact)


@test
def level_file(t: Context) -> None:
    """A level of several profiles, one of them without AVX, in a JSON file."""
    node, level = t.scratch / "node.json", t.scratch / "level.json"
    t.ok(t.bare(t.cpulevel, "scan", "-o", node))
    t.ok(t.bare(t.cpulevel, "baseline", node, "x86-64-v2", "-o", level))
    levelled = t.ok(t.levelled(t.victim("print_level"), level=level))
    t.equal(levelled.number("leaf1.ecx") >> 28 & 1, 0, "AVX")
    t.equal(levelled.number("leaf7.ebx") >> 5 & 1, 0, "AVX2")


@test
def code_made_at_run_time(t: Context) -> None:
    """CPUID in code that no file contains."""
    victim = t.victim("self_made_code")
    t.ok(t.bare(victim))
    t.need_faulting()
    levelled = t.ok(t.levelled(victim))
    t.equal(levelled.facts["made.leaf7.ebx"], levelled.facts["own.leaf7.ebx"], "CPUID in made code")
    t.equal(levelled.number("made.leaf7.ebx") >> 5 & 1, 0, "AVX2")


@test
def code_made_at_run_time_is_not_harmed(t: Context) -> None:
    """Whether it can be levelled or not, it runs, and nobody changes it."""
    t.ok(t.levelled(t.victim("self_made_code")))


@test
def program_sets_faulting_itself(t: Context) -> None:
    """ARCH_SET_CPUID and ARCH_GET_CPUID: a program sees what it set, and never the machine's own CPUID."""
    victim = t.victim("arch_cpuid")
    bare, levelled = t.same_both_ways(victim, except_facts=("cpuid.",))
    t.equal([k for k in levelled.facts if k.startswith("cpuid.")], [k for k in bare.facts if k.startswith("cpuid.")],
            "places where CPUID is answered")
    for key, value in levelled.facts.items():
        if key.startswith("cpuid."):
            t.equal(int(value.split()[-1], 16) >> 5 & 1, 0, f"AVX2 at {key}")


@test
def report_and_verbose(t: Context) -> None:
    """--report counts execs and CPUID by site and module; --verbose says each exec."""
    report = t.scratch / "report.json"
    run = t.ok(t.levelled("/bin/sh", "-c", f"{t.victim('print_level')}; {t.victim('print_level_static')}",
                          options=("--report", report, "--verbose")))
    data = json.loads(report.read_text())
    text = json.dumps(data)
    t.check("print_level_static" in text, f"the report does not name the program: {text[:2000]}")
    t.check("print_level_static" in run.messages + run.err, f"--verbose does not name the program: {run}")


@test
def require_full(t: Context) -> None:
    """--require-full: runs where everything is covered, and otherwise does not start the program, with status 125."""
    from harness import machine

    mark = t.scratch / "started"
    run = t.levelled("/usr/bin/touch", mark, options=("--require-full",))
    if machine.cpuid_faulting():
        t.check(run.exit in (3, 125), f"not started: {run}")
        t.check("CPUID" in run.messages + run.err, f"the message does not say what is missing: {run}")
        t.check(not mark.exists(), "the program was started all the same")
    else:
        t.ok(run)
        t.check(mark.exists(), "the program was not started")


@test
def unknown_level(t: Context) -> None:
    run = t.levelled("/bin/true", level="x86-64-v22")
    t.check(run.exit in (2, 125), str(run))
    t.check("x86-64-v22" in run.messages + run.err, str(run))
