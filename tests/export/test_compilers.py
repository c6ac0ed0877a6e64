"""gcc and clang take the options, and what is then on is the level, feature by feature."""

import pathlib
import re
import tempfile
import unittest

from common import entries, exported, named, run, shown, text, tool

X86 = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v2+aes-popcnt", "x86-64-v3-bmi2", "x86-64-v4-avx512cd", "haswell",
       "znver4", "sapphirerapids", "icelake-client")
PROFILES = pathlib.Path(__file__).resolve().parents[2] / "data" / "profiles"
ARM = ("armv8.0-a", "armv8.1-a", "armv8.2-a", "armv8.4-a", "armv8.2-a+sve+dotprod", "armv8.6-a+aes+pmull+sha1+sha2")


def major(compiler):
    return re.search(r"(\d+)\.\d+\.\d+", run(compiler, "--version").stdout).group(1)


def levels():
    return [*X86, *sorted(map(str, PROFILES.glob("*.json")))]


def known(compiler, kind, version, architecture="x86_64"):
    """name -> features, of the entries that this version has."""
    return {e["name"]: set(e["features"]) for e in entries(compiler, architecture)
            if e["kind"] == kind and int(e.get("since", "0")) <= int(version) <= int(e.get("until", "999"))}


class Gcc(unittest.TestCase):
    def switches(self, gcc, options):
        done = run(gcc, "-Q", "--help=target", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), options)
        return set(re.findall(r"^\s+-m(\S+)\s+\[enabled\]", done.stdout, re.MULTILINE))

    def test_q_help_target_is_the_level(self):
        gcc = tool("gcc")
        version = major(gcc)
        names = known("gcc", "show", version)
        for level in levels():
            with self.subTest(level):
                options = text(level, "gcc", "--for", f"gcc={version}").split()
                on = self.switches(gcc, options)
                for name, features in names.items():
                    self.assertEqual(name in on, features <= shown(level), f"-m{name} of {options}")

    def test_every_name_of_the_data_is_taken(self):
        gcc = tool("gcc")
        on = self.switches(gcc, ["-march=x86-64", *(f"-m{name}" for name in known("gcc", "show", major(gcc)))])
        self.assertLessEqual(set(known("gcc", "show", major(gcc))), on)

    def test_it_compiles(self):
        options = text("x86-64-v3-bmi2", "gcc", "--for", f"gcc={major(tool('gcc'))}").split()
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "a.c"
            source.write_text("#ifdef __BMI2__\n#error BMI2\n#endif\n#ifndef __AVX2__\n#error AVX2\n#endif\nint main(void) { return 0; }\n")
            done = run("gcc", *options, "-O2", "-c", "-o", f"{folder}/a.o", source)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_arm64(self):
        gcc = tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
        macros = {"crc32": "__ARM_FEATURE_CRC32", "atomics": "__ARM_FEATURE_ATOMICS", "asimdrdm": "__ARM_FEATURE_QRDMX",
                  "asimddp": "__ARM_FEATURE_DOTPROD", "sve": "__ARM_FEATURE_SVE", "sve2": "__ARM_FEATURE_SVE2",
                  "aes": "__ARM_FEATURE_AES", "sha3": "__ARM_FEATURE_SHA3", "i8mm": "__ARM_FEATURE_MATMUL_INT8", "fcma": "__ARM_FEATURE_COMPLEX",
                  "jscvt": "__ARM_FEATURE_JCVT", "asimdhp": "__ARM_FEATURE_FP16_VECTOR_ARITHMETIC", "mte": "__ARM_FEATURE_MEMORY_TAGGING"}
        for level in ARM:
            with self.subTest(level):
                options = text(level, "gcc", "--for", f"gcc={major(gcc)}").split()
                done = run(gcc, *options, "-dM", "-E", "-x", "c", "/dev/null")
                self.assertEqual((done.returncode, done.stderr), (0, ""), options)
                on = {name for name, macro in macros.items() if f"#define {macro} " in done.stdout}
                self.assertEqual(on, set(macros) & shown(level) - set(exported(level, "gcc")["cannot_show"]), options)


class Clang(unittest.TestCase):
    def features(self, clang, *options):
        done = run(clang, *options, "-###", "-c", "-x", "c", "/dev/null")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("warning", done.stderr)
        return done.stderr

    def macros(self, clang, *options):
        done = run(clang, *options, "-dM", "-E", "-x", "c", "/dev/null")
        self.assertEqual((done.returncode, done.stderr), (0, ""), options)
        return set(re.findall(r"#define (__\w+__) 1$", done.stdout, re.MULTILINE))

    def of_name(self, name):
        """The macro of a feature, as clang defines them."""
        special = {"sse4.1": "SSE4_1", "sse4.2": "SSE4_2", "cx16": "GCC_HAVE_SYNC_COMPARE_AND_SWAP_16", "sahf": "LAHF_SAHF",
                   "rdrnd": "RDRND", "3dnow": "3dNOW", "3dnowa": "3dNOW_A", "avxvnniint8": "AVXVNNIINT8"}
        return f"__{special.get(name, name.upper())}__"

    def test_macros_are_the_level(self):
        clang = tool("clang-19")
        version = major(clang)
        names = known("clang", "show", version)
        everything = self.macros(clang, "-march=x86-64", *(f"-m{name}" for name in names))
        with_macro = {name for name in names if self.of_name(name) in everything}
        self.assertGreater(len(with_macro), len(names) * 3 // 4, set(names) - with_macro)
        for level in levels():
            with self.subTest(level):
                options = text(level, "clang", "--for", f"clang={version}").split()
                self.features(clang, *options)
                on = self.macros(clang, *options)
                for name in with_macro:
                    self.assertEqual(self.of_name(name) in on, names[name] <= shown(level), f"-m{name} of {options}")

    def test_arm64(self):
        clang = tool("clang-19")
        for level in ARM:
            with self.subTest(level):
                options = text(level, "clang").split()
                done = run(clang, "--target=aarch64-linux-gnu", *options, "-dM", "-E", "-x", "c", "/dev/null")
                self.assertEqual((done.returncode, done.stderr), (0, ""), options)
                self.assertEqual("__ARM_FEATURE_SVE 1" in done.stdout, "sve" in shown(level))
                self.assertEqual("__ARM_FEATURE_ATOMICS 1" in done.stdout, "atomics" in shown(level))


class Data(unittest.TestCase):
    def test_a_base_is_known_by_the_names(self):
        for compiler in ("gcc", "clang"):
            names = {f for features in named(compiler, "show").values() for f in features}
            for base, features in named(compiler, "base").items():
                self.assertLessEqual(set(features), names, base)
