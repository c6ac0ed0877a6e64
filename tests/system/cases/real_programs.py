"""Real programs: what they find out about the CPU by their own roads, bare and levelled."""

import json
import os
import re

from harness import Context, Skipped, each, test

LOADERS = {"64": "/lib64/ld-linux-x86-64.so.2", "32": "/lib/ld-linux.so.2"}


def loader(t: Context, bits: str = "64") -> str:
    if not os.path.exists(LOADERS[bits]):
        t.skip(f"no {LOADERS[bits]}")
    t.need(LOADERS[bits], "--help")
    return LOADERS[bits]


def supported_folders(run) -> set[str]:
    return set(re.findall(r"^ *(x86-64-v\d) \(supported", run.out, re.MULTILINE))


@each("x86-64", "x86-64-v2", "x86-64-v3")
def ld_so_folders(t: Context, level: str) -> None:
    """glibc-hwcaps: ld.so takes libraries from the folders of the level, and no other."""
    bare = supported_folders(t.ok(t.bare(loader(t), "--help")))
    if "x86-64-v3" not in bare:
        t.skip("this glibc or machine has no folder x86-64-v3")
    expected = {"x86-64": set(), "x86-64-v2": {"x86-64-v2"}, "x86-64-v3": {"x86-64-v2", "x86-64-v3"}}
    t.equal(supported_folders(t.ok(t.levelled(loader(t), "--help", level=level))), expected[level], "folders supported")


@test
def ld_so_loads_from_the_right_folder(t: Context) -> None:
    """The effect: of two versions of a library, the one that the level allows is loaded."""
    gcc = t.tool("gcc")
    if "x86-64-v3" not in supported_folders(t.bare(loader(t), "--help")):
        t.skip("this glibc or machine has no folder x86-64-v3")
    for folder in ("", "glibc-hwcaps/x86-64-v2", "glibc-hwcaps/x86-64-v3"):
        place = t.scratch / folder
        place.mkdir(parents=True, exist_ok=True)
        source = place / "which.c"
        source.write_text(f'const char *which(void) {{ return "{folder or "base"}"; }}\n')
        t.ok(t.bare(gcc, "-shared", "-fPIC", "-o", place / "libwhich.so", source))
    main = t.scratch / "main.c"
    main.write_text('#include <stdio.h>\nconst char *which(void);\nint main(void) { return puts(which()) < 0; }\n')
    t.ok(t.bare(gcc, "-o", t.scratch / "main", main, "-L", t.scratch, "-lwhich"))
    env = {"LD_LIBRARY_PATH": str(t.scratch)}
    for level, expected in (("x86-64", "base"), ("x86-64-v2", "glibc-hwcaps/x86-64-v2"),
                            ("x86-64-v3", "glibc-hwcaps/x86-64-v3")):
        t.equal(t.ok(t.levelled(t.scratch / "main", level=level, env=env)).out.strip(), expected, f"library at {level}")


def active_words(run) -> dict[int, list[int]]:
    """--list-diagnostics: leaf number (glibc's own) -> the registers that glibc takes as usable."""
    found: dict[int, list[int]] = {}
    for leaf, value in re.findall(r"x86\.cpu_features\.features\[(0x[0-9a-f]+)\]\.active\[0x[0-3]\]=(0x[0-9a-f]+)", run.out):
        found.setdefault(int(leaf, 16), []).append(int(value, 16))
    return found


@each("64", "32")
def ld_so_diagnostics(t: Context, bits: str) -> None:
    """--list-diagnostics: no AVX is usable at x86-64-v2."""
    run = t.bare(loader(t, bits), "--list-diagnostics")
    if run.status != 0 or not active_words(run):
        t.skip("this glibc has no --list-diagnostics with CPU features")
    bare, levelled = active_words(run), active_words(t.ok(t.levelled(loader(t, bits), "--list-diagnostics")))
    t.check(bare[0][2] >> 28 & 1, "AVX is not usable bare")
    t.equal(levelled[0][2] >> 28 & 1, 0, "AVX")
    t.equal(levelled[0][2] >> 12 & 1, 0, "FMA")
    t.equal(levelled[0][2] >> 27 & 1, 0, "OSXSAVE")
    t.equal(levelled[0][2] >> 20 & 1, 1, "SSE4.2")
    t.equal(levelled[1][1] >> 5 & 1, 0, "AVX2")
    t.equal(levelled[1][1] >> 16 & 1, 0, "AVX512F")


@test
def libgcc(t: Context) -> None:
    """__builtin_cpu_supports and the choice of an ifunc resolver."""
    bare, levelled = t.ok(t.bare(t.victim("builtin_cpu"))), t.ok(t.levelled(t.victim("builtin_cpu")))
    for feature in ("avx", "avx2", "fma", "bmi", "bmi2", "avx512f", "avx512vl", "gfni", "vaes", "aes", "pclmul"):
        t.equal(levelled.facts[feature], "no", feature)
    for feature in ("sse2", "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt"):
        t.equal(levelled.facts[feature], bare.facts[feature], feature)
    t.equal(t.ok(t.levelled(t.victim("ifunc_choice"))).facts["chosen"], "sse4.2", "ifunc at x86-64-v2")
    t.equal(t.ok(t.levelled(t.victim("ifunc_choice"), level="x86-64")).facts["chosen"], "plain", "ifunc at x86-64")
    t.equal(t.ok(t.levelled(t.victim("ifunc_choice"), level="x86-64-v3")).facts["chosen"],
            "avx2" if bare.facts["avx2"] == "yes" else "sse4.2", "ifunc at x86-64-v3")


@each("version", "info")
def openssl(t: Context, how: str) -> None:
    """OPENSSL_ia32cap: the low word's second half is CPUID 1 ECX, the second word's first half is 7 EBX."""
    command = [t.tool("openssl"), *(["version", "-c"] if how == "version" else ["info", "-cpusettings"])]
    pattern = r"OPENSSL_ia32cap=0x([0-9a-f]+):0x([0-9a-f]+)"
    bare = re.search(pattern, t.bare(*command).out)
    if not bare:
        t.skip(f"{' '.join(command)} tells no capability words (openssl before 3.0)")
    levelled = re.search(pattern, t.ok(t.levelled(*command)).out)
    first, second = (int(word, 16) for word in levelled.groups())
    t.check(int(bare[1], 16) >> 60 & 1, "AVX is not in the bare capability word")
    t.equal(first >> 60 & 1, 0, "AVX")
    t.equal(first >> 57 & 1, 0, "AES (which x86-64-v2 has not)")
    t.equal(first >> 41 & 1, 1, "SSSE3")
    t.equal(second >> 5 & 1, 0, "AVX2")
    t.equal(second >> 29 & 1, 0, "SHA")


@test
def cpuid_tool(t: Context) -> None:
    """The cpuid tool's raw dump."""
    command = [t.tool("cpuid"), "-1", "-r"]
    pattern = r"^ *(0x[0-9a-f]{8}) (0x[0-9a-f]{2}): eax=(0x[0-9a-f]+) ebx=(0x[0-9a-f]+) ecx=(0x[0-9a-f]+) edx=(0x[0-9a-f]+)"

    def words(run) -> dict:
        return {(int(m[0], 16), int(m[1], 16)): [int(w, 16) for w in m[2:]] for m in re.findall(pattern, run.out, re.MULTILINE)}

    bare, levelled = words(t.ok(t.bare(*command))), words(t.ok(t.levelled(*command)))
    t.check(bare[7, 0][1] >> 5 & 1, "the machine has no AVX2")
    t.equal(levelled[1, 0][2] >> 28 & 1, 0, "AVX")
    t.equal(levelled.get((7, 0), [0] * 4)[1] >> 5 & 1, 0, "AVX2")
    t.equal(levelled[1, 0][2] & ~bare[1, 0][2], 0, "bits of leaf 1 ECX that the machine has not")


@test
def lscpu(t: Context) -> None:
    """lscpu reads /proc/cpuinfo and /sys, which are not levelled (the README says so): it runs as bare."""
    command = [t.tool("lscpu", "util-linux"), "-J"]

    def fields(run) -> dict:
        def flat(entries):
            for entry in entries:
                yield entry["field"], entry["data"]
                yield from flat(entry.get("children", []))
        return {k: v for k, v in flat(json.loads(run.out)["lscpu"])
                if not re.search("MHz|BogoMIPS|scaling|Hypervisor|Virtualization", k)}

    t.equal(fields(t.ok(t.levelled(*command))), fields(t.ok(t.bare(*command))), "fields of lscpu")


def numpy(t: Context) -> str:
    python = "/usr/bin/python3"
    t.need(python, "-c", "import numpy")
    return python


@test
def python_numpy(t: Context) -> None:
    """NumPy's dispatch table, and the result of a computation by it."""
    code = ("import json\ntry: from numpy._core._multiarray_umath import __cpu_features__ as f\n"
            "except ImportError: from numpy.core._multiarray_umath import __cpu_features__ as f\n"
            "import numpy as n\na = n.arange(100000, dtype=n.int64)\n"
            "print(json.dumps({'features': f, 'sum': int((a * a % 1013).sum()), 'sorted': int(n.sort(a[::-1])[77])}))")
    command = [numpy(t), "-c", code]
    bare, levelled = json.loads(t.ok(t.bare(*command)).out), json.loads(t.ok(t.levelled(*command)).out)
    t.check(bare["features"]["AVX2"], "no AVX2 bare")
    for name in ("AVX", "AVX2", "FMA3", "F16C", "AVX512F", "AVX512_SKX"):
        t.equal(levelled["features"][name], False, name)
    for name in ("SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT"):
        t.equal(levelled["features"][name], bare["features"][name], name)
    t.equal((levelled["sum"], levelled["sorted"]), (bare["sum"], bare["sorted"]), "results")


@test(timeout=120)
def java_runs(t: Context) -> None:
    """OpenJDK starts, compiles and works: SIGSEGV is part of its ordinary life."""
    java = t.tool("java", "openjdk-17-jre-headless")
    t.need(java, "-version")
    program = t.scratch / "Work.java"
    program.write_text("""
import java.util.*;
public class Work {
    static String nothing;
    public static void main(String[] arguments) throws Exception {
        long sum = 0;
        for (int i = 0; i < 3_000_000; ++i) sum = sum * 31 + (i ^ (i >>> 3));
        int caught = 0;
        for (int i = 0; i < 20_000; ++i) {
            try { sum += nothing.length(); } catch (NullPointerException e) { ++caught; }
        }
        var digest = java.security.MessageDigest.getInstance("SHA-256").digest(new byte[5_000_000]);
        System.out.println(sum + " " + caught + " " + HexFormat.of().formatHex(digest));
    }
}
""")
    has_compiler = not t.bare(java, "--list-modules").out.find("jdk.compiler") < 0
    if not has_compiler:
        t.skip("this java cannot run source files (no module jdk.compiler; package openjdk-17-jdk-headless)")
    t.ok(t.same_both_ways(java, program, timeout=100)[1])


@test(timeout=120)
def java_features(t: Context) -> None:
    """-XX:+PrintFlagsFinal: UseAVX and what follows from CPUID, which the JVM executes in a stub that it makes itself."""
    java = t.tool("java", "openjdk-17-jre-headless")
    command = [java, "-XX:+PrintFlagsFinal", "-version"]
    bare = t.ok(t.bare(*command))
    t.need_faulting()

    def flags(run) -> dict:
        return dict(re.findall(r"^ *\w+ (\w+) += (\S+)", run.out, re.MULTILINE))

    before, after = flags(bare), flags(t.ok(t.levelled(*command)))
    t.check(int(before["UseAVX"]) >= 2, "UseAVX bare")
    t.equal(after["UseAVX"], "0", "UseAVX")
    t.equal(after["UseSHA"], "false", "UseSHA")
    t.equal(after["UseAES"], "false", "UseAES")
    t.check(int(after["UseSSE"]) == 4, "UseSSE")


@test(timeout=120)
def java_version_is_not_harmed(t: Context) -> None:
    java = t.tool("java", "openjdk-17-jre-headless")
    t.need(java, "-version")
    t.ok(t.same_both_ways(java, "-Xshare:auto", "-version")[1])


@test(timeout=120)
def node_features(t: Context) -> None:
    """V8 compiles WebAssembly SIMD only where it finds SSSE3 and SSE4.1: it has them at x86-64-v2, not at x86-64."""
    node = t.tool("node", "nodejs")
    # (module (func (result v128) (i32x4.splat (i32.const 1))))
    code = ("const m = new Uint8Array([0,97,115,109,1,0,0,0,1,5,1,96,0,1,123,3,2,1,0,10,8,1,6,0,65,1,253,17,11]);"
            "console.log('simd=' + WebAssembly.validate(m));"
            "let s = 0; for (let i = 0; i < 3e6; ++i) s = (s * 31 + i) | 0; console.log('sum=' + s);"
            "console.log('sha=' + require('crypto').createHash('sha256').update('x'.repeat(1e6)).digest('hex'))")
    bare = t.ok(t.bare(node, "-e", code))
    at_v2, at_v1 = t.ok(t.levelled(node, "-e", code)), t.ok(t.levelled(node, "-e", code, level="x86-64"))
    t.equal(bare.facts["simd"], "true", "SIMD bare")
    t.equal(at_v2.facts["simd"], "true", "SIMD at x86-64-v2")
    t.equal(at_v1.facts["simd"], "false", "SIMD at x86-64")
    for run in (at_v2, at_v1):
        t.equal((run.facts["sum"], run.facts["sha"]), (bare.facts["sum"], bare.facts["sha"]), "results")


@test
def go(t: Context) -> None:
    """A static Go program: what its runtime found, its results, its recovery from a nil pointer, a child of its own."""
    command = [t.victim("detect_go"), t.victim("print_level")]
    bare, levelled = t.ok(t.bare(*command)), t.ok(t.levelled(*command))
    t.equal(bare.facts["fma"], "true", "FMA bare")
    t.equal(levelled.facts["fma"], "false", "FMA")
    t.equal(levelled.facts["popcnt"], "true", "POPCNT")
    t.equal(t.ok(t.levelled(t.victim("detect_go"), level="x86-64")).facts["popcnt"], "false", "POPCNT at x86-64")

    def work(run) -> list[str]:
        return [line for line in run.out.splitlines() if line.startswith(("sum=", "recovered=", "error="))]

    t.equal(work(levelled), work(bare), "results")
    t.shows_v2(levelled, bare)


@test
def rust(t: Context) -> None:
    bare, levelled = t.ok(t.bare(t.victim("detect_rust"))), t.ok(t.levelled(t.victim("detect_rust")))
    t.equal(bare.facts["avx2"], "true", "AVX2 bare")
    for feature in ("avx", "avx2", "fma", "bmi2", "avx512f", "aes"):
        t.equal(levelled.facts[feature], "false", feature)
    for feature in ("sse2", "sse4.2", "popcnt"):
        t.equal(levelled.facts[feature], "true", feature)
    t.equal(levelled.facts["sum"], bare.facts["sum"], "result")


@each("x86-64", "x86-64-v2", "x86-64-v3")
def gcc_native(t: Context, level: str) -> None:
    """gcc -march=native asks CPUID in its driver: the code that it would make is the level's."""
    gcc = t.tool("gcc")
    command = [gcc, "-march=native", "-Q", "--help=target"]

    def options(run) -> dict:
        return dict(re.findall(r"^ +-m([a-z0-9.]+)[ \t]+\[(enabled|disabled)\]", run.out, re.MULTILINE))

    bare, levelled = options(t.ok(t.bare(*command))), options(t.ok(t.levelled(*command, level=level)))
    t.equal(bare["avx2"], "enabled", "AVX2 bare")
    t.equal(levelled["avx2"], "enabled" if level == "x86-64-v3" else "disabled", "AVX2")
    t.equal(levelled["sse4.2"], "disabled" if level == "x86-64" else "enabled", "SSE4.2")
    t.equal(levelled["avx512f"], "disabled", "AVX512F")
