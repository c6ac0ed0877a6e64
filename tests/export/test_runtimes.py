"""Go, OpenJDK, Node.js and NumPy report what they found out, and do as they were told."""

import os
import re
import tempfile
import unittest

from common import exported, named, need_flag, run, shown, text, tool

# The order of the fields of internal/cpu.X86 in Go 1.19 (src/internal/cpu/cpu.go), behind a line of padding.
GO_FIELDS = ("aes adx avx avx2 bmi1 bmi2 erms fma osxsave pclmulqdq popcnt rdtscp sse3 ssse3 sse41 sse42").split()
GO_PROGRAM = """package main

import (
	"fmt"
	"internal/cpu"
)

func main() {
	x := &cpu.X86
	fmt.Println("aes", x.HasAES, "adx", x.HasADX, "avx", x.HasAVX, "avx2", x.HasAVX2, "bmi1", x.HasBMI1, "bmi2", x.HasBMI2,
		"erms", x.HasERMS, "fma", x.HasFMA, "pclmulqdq", x.HasPCLMULQDQ, "popcnt", x.HasPOPCNT, "rdtscp", x.HasRDTSCP,
		"sse3", x.HasSSE3, "ssse3", x.HasSSSE3, "sse41", x.HasSSE41, "sse42", x.HasSSE42)
}
"""
LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v2+aes+pclmulqdq", "x86-64-v3-fma", "x86-64-v4")


class Go(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        go = tool("go", "golang-go")
        cls.folder = tempfile.TemporaryDirectory()
        root = run(go, "env", "GOROOT").stdout.strip()
        source = os.path.join(cls.folder.name, "main.go")
        with open(source, "w", encoding="ascii") as file:
            file.write(GO_PROGRAM)
        # go build refuses internal packages; the compiler itself does not. Before 1.20 they come compiled.
        archive = os.path.join(root, "pkg", "linux_amd64")
        if not os.path.exists(os.path.join(archive, "internal", "cpu.a")):
            raise unittest.SkipTest("Go here comes without compiled packages (as since 1.20): internal/cpu cannot be linked")
        cls.program = os.path.join(cls.folder.name, "program")
        for step in (("compile", "-I", archive, "-p", "main", "-o", cls.program + ".o", source),
                     ("link", "-L", archive, "-o", cls.program, cls.program + ".o")):
            done = run(go, "tool", *step)
            assert done.returncode == 0, done.stdout + done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def found(self, environment):
        done = run(self.program, environment=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))  # no complaint of a name either
        words = done.stdout.split()
        return {name for name, value in zip(words[::2], words[1::2]) if value == "true"}

    def test_hides_what_it_names_and_nothing_else(self):
        need_flag("avx2")
        bare = self.found({})
        off = named("go", "off")
        for level in LEVELS:
            with self.subTest(level):
                expected = {name for name in bare if set(off[name]) <= shown(level)}
                self.assertEqual(self.found(exported(level, "go")["environment"]), expected)

    def test_a_newer_version_has_more_names(self):
        self.assertIn("cpu.avx512f=off", text("x86-64-v3", "go", "--for", "go=1.25"))
        self.assertNotIn("avx512", text("x86-64-v3", "go"))


class Java(unittest.TestCase):
    # What HotSpot calls features in its list, where that is not our name.
    OURS = {"sse4.1": "sse4_1", "sse4.2": "sse4_2", "clmul": "pclmulqdq", "sha": "sha_ni", "3dnowpref": "3dnowprefetch",
            "avx512_vpclmulqdq": "vpclmulqdq", "avx512_vaes": "vaes", "avx512_vbmi": "avx512vbmi", "avx512_vbmi2": "avx512vbmi2",
            "avx512_ifma": "avx512ifma"}
    FLAGS = {"UseAES": "aes", "UseCLMUL": "pclmulqdq", "UseSHA": "sha_ni", "UseFMA": "fma", "UseBMI1Instructions": "bmi1",
             "UseBMI2Instructions": "bmi2", "UsePopCountInstruction": "popcnt", "UseCountLeadingZerosInstruction": "lzcnt",
             "UseRTMLocking": "rtm"}

    def report(self, level):
        environment = exported(level, "java")["environment"] if level else {}
        done = run(tool("java", "default-jre-headless"), "-Xshare:auto", "-Xlog:os+cpu=info", "-XX:+PrintFlagsFinal", "-version",
                   environment=environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        cpu = re.search(r"CPU: total.*", done.stdout)
        if not cpu:
            self.skipTest("this JVM does not log its CPU")
        words = [word.strip() for word in cpu.group().split(",")[1:]]
        flags = dict(re.findall(r"^ *\S+ (\w+) += (\S+)", done.stdout, re.MULTILINE))
        return {self.OURS.get(word, word) for word in words}, flags

    def test_uses_nothing_hidden(self):
        need_flag("avx2")
        bare, _ = self.report(None)
        self.assertIn("avx2", bare)
        # "vzeroupper" is AVX's; "tscinvbit" and "tscinv" one bit of CPUID.
        wide = {f for f in bare if f.startswith(("avx", "sse", "ssse")) or f in ("f16c", "gfni", "vaes", "vpclmulqdq", "vzeroupper")}
        for level in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
            with self.subTest(level):
                seen, flags = self.report(level)
                told = shown(level) | ({"vzeroupper"} if "avx" in shown(level) else set())
                self.assertEqual((seen & wide) - told - set(exported(level, "java")["cannot_hide"]), set())
                self.assertLessEqual({f for f in ("sse4_2", "avx", "avx2") if f in told}, seen)
                for flag, feature in self.FLAGS.items():
                    if feature not in shown(level):
                        self.assertIn(flags.get(flag), ("false", None), flag)
                    elif feature in bare:
                        self.assertEqual(flags[flag], "true", flag)

    def test_crac_parses_as_numbers(self):
        """Debian has no JVM with CRaC: only the shape, and the first word against HotSpot's own list of names."""
        value = re.fullmatch(r"-XX:CPUFeatures=(0x[0-9a-f]+),(0x[0-9a-f]+)", text("x86-64-v2", "crac"))
        self.assertTrue(value)
        self.assertEqual(int(value[1], 16) >> 18 & 3, 0)   # AVX, AVX2
        self.assertEqual(int(value[1], 16) >> 12 & 3, 3)   # SSE4.2, POPCNT


class Node(unittest.TestCase):
    V8 = {"SSE3": "sse3", "SSSE3": "ssse3", "SSE4_1": "sse4_1", "SSE4_2": "sse4_2", "SAHF": "lahf_lm", "AVX": "avx",
          "AVX2": "avx2", "FMA3": "fma", "BMI1": "bmi1", "BMI2": "bmi2", "LZCNT": "lzcnt", "POPCNT": "popcnt"}

    def found(self, *options):
        done = run(tool("node", "nodejs"), *options, "--v8-options")
        pairs = dict(re.findall(r"(\w+)=([01])", done.stdout.split("\n", 1)[0]))
        if "AVX2" not in pairs:
            self.skipTest("node --v8-options does not begin with the CPU's features")
        return {self.V8[name] for name, value in pairs.items() if value == "1" and name in self.V8}

    def test_hides_what_it_names_and_nothing_else(self):
        need_flag("avx2")
        bare = self.found()
        for level in ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v3-bmi1"):
            with self.subTest(level):
                found = self.found(*text(level, "node").split())
                self.assertEqual(found - shown(level), set())
                self.assertEqual(found, bare & shown(level))

    def test_it_still_computes(self):
        options = text("x86-64", "node").split()
        done = run(tool("node", "nodejs"), *options, "-e", "let s=0; for(let i=0;i<1e6;i++) s+=Math.sqrt(i); console.log(s.toFixed(3))")
        self.assertEqual((done.returncode, done.stdout), (0, "666666166.459\n"), done.stderr)


class Numpy(unittest.TestCase):
    SAY = ("from numpy.core import _multiarray_umath as m; print(' '.join(k for k, v in m.__cpu_features__.items() if v)); "
           "print(' '.join(m.__cpu_dispatch__))")

    def found(self, environment):
        done = run("/usr/bin/python3", "-W", "always", "-c", self.SAY, environment=environment)
        if "No module named" in done.stderr:
            self.skipTest("no NumPy here (Debian: python3-numpy)")
        self.assertEqual((done.returncode, done.stderr), (0, ""))  # no complaint of a name either
        return [set(line.split()) for line in done.stdout.split("\n")[:2]]

    def test_hides_what_it_names_and_nothing_else(self):
        need_flag("avx2")
        version = run("/usr/bin/python3", "-c", "import numpy; print(numpy.__version__)").stdout.strip() or "1.24"
        more = ("--for", f"numpy={version}")
        bare, dispatched = self.found({})
        off = named("numpy", "off")
        for level in LEVELS:
            with self.subTest(level):
                named_now = set(text(level, "numpy", *more).partition("=")[2].split())
                self.assertLessEqual(named_now, dispatched)
                seen, _ = self.found(exported(level, "numpy", *more)["environment"])
                self.assertEqual(seen, bare - named_now)
                for name in dispatched & seen:
                    self.assertLessEqual(set(off[name]), shown(level), name)
