"""glibc and OpenSSL say what they take the CPU for."""

import os
import re
import unittest

from common import entries, exported, features, need_flag, places, run, shown, text, tool

LOADER = "/lib64/ld-linux-x86-64.so.2"
LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v2+aes-popcnt", "x86-64-v3-bmi2")
# glibc's own numbers of leaves (sysdeps/x86/include/cpu-features.h).
LEAVES = {0: (1, 0), 1: (7, 0), 2: (0x80000001, 0), 3: (0xD, 1), 4: (0x80000007, 0), 5: (0x80000008, 0), 6: (7, 1)}


def active(environment):
    """The features that glibc takes as usable."""
    run_ = run(LOADER, "--list-diagnostics", environment=environment)
    if run_.returncode != 0:
        raise unittest.SkipTest("this glibc has no --list-diagnostics")
    found = set()
    for leaf, register, value in re.findall(r"features\[(0x\w+)\]\.active\[(0x\w)\]=(0x\w+)", run_.stdout):
        if int(leaf, 16) not in LEAVES:
            continue
        name = ("eax", "ebx", "ecx", "edx")[int(register, 16)]
        for bit in range(32):
            if int(value, 16) >> bit & 1:
                found.add(places().get((*LEAVES[int(leaf, 16)], name, bit)))
    return found - {None}


def variable(level, to, *more):
    return exported(level, to, *more)["environment"]


class Glibc(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(LOADER):
            self.skipTest(f"no {LOADER}")
        need_flag("avx2")

    def test_memcpy_is_not_chosen_by_what_avx_was_preferred_for(self):
        """A preference that glibc makes before it reads the names; memcpy goes by it."""
        wanted = "preferred.AVX_Fast_Unaligned_Load=0x1"
        bare = run(LOADER, "--list-diagnostics", environment={}).stdout
        self.assertIn(wanted, bare)
        self.assertNotIn(wanted, run(LOADER, "--list-diagnostics", environment=variable("x86-64-v2", "glibc")).stdout)
        self.assertIn(wanted, run(LOADER, "--list-diagnostics", environment=variable("x86-64-v3", "glibc")).stdout)

    def test_hides_all_that_it_names_and_nothing_of_the_level(self):
        bare = active({})
        self.assertIn("avx2", bare)
        names = {f for e in entries("glibc") if e["kind"] == "off" for f in e["features"]}
        for level in LEVELS:
            with self.subTest(level):
                found = active(variable(level, "glibc"))
                self.assertEqual(found & names - shown(level), set())
                self.assertEqual(bare & shown(level) - found, set())

    def test_no_folder_of_libraries_beyond_the_level(self):
        for level, folders in (("x86-64", []), ("x86-64-v2", ["v2"]), ("x86-64-v3", ["v2", "v3"])):
            out = run(LOADER, "--help", environment=variable(level, "glibc")).stdout
            self.assertEqual(sorted(re.findall(r"x86-64-(v\d) \(supported", out)), folders, level)

    def test_the_version_is_this_machines(self):
        self.assertIn(f"version {exported('x86-64-v2', 'glibc')['version']}", run(LOADER, "--version").stdout)

    def test_a_version_that_has_other_names(self):
        self.assertIn("_Usable", text("x86-64-v2", "glibc", "--glibc", "2.31"))
        self.assertNotIn("_Usable", text("x86-64-v2", "glibc", "--glibc", "2.36"))


class Openssl(unittest.TestCase):
    REGISTERS = ((1, 0, "edx"), (1, 0, "ecx"), (7, 0, "ebx"), (7, 0, "ecx"))
    OWN = 1 << 10 | 1 << 20 | 1 << 28 | 1 << 30

    def vector(self, environment):
        """The first four registers: all versions have these."""
        out = run(tool("openssl"), "version", "-c", environment=environment).stdout
        words = re.search(r"OPENSSL_ia32cap=(0x\w+):(0x\w+)", out)
        if not words:
            self.skipTest(f"openssl version -c does not tell: {out}")
        first, second = (int(word, 16) for word in words.groups())
        return first | second << 64

    def of_level(self, level):
        bits = 0
        for number, (leaf, subleaf, register) in enumerate(self.REGISTERS):
            for bit in range(32):
                if places().get((leaf, subleaf, register, bit)) in shown(level):
                    bits |= 1 << 32 * number + bit
        bits &= ~(1 << 43)  # OpenSSL keeps XOP there
        return bits | (1 << 43 if "xop" in shown(level) else 0)

    def test_masks(self):
        need_flag("avx2")
        bare = self.vector({})
        for level in LEVELS:
            with self.subTest(level):
                allowed = self.of_level(level) | self.OWN
                self.assertNotEqual(bare & ~allowed, 0, "there is nothing to hide")
                self.assertEqual(self.vector(variable(level, "openssl")), bare & allowed)

    def test_values(self):
        for level in LEVELS:
            with self.subTest(level):
                self.assertEqual(self.vector(variable(level, "openssl", "--absolute")) & ~(1 << 10), self.of_level(level) & ~self.OWN)

    def test_five_words_unless_the_version_has_two(self):
        self.assertEqual(text("x86-64-v2", "openssl").count(":"), 4)
        self.assertEqual(text("x86-64-v2", "openssl", "--for", "openssl=3.0").count(":"), 1)

    def test_hashes_are_the_same(self):
        hashes = {run(tool("openssl"), "dgst", "-sha256", "/proc/version", environment=env).stdout
                  for env in ({}, variable("x86-64", "openssl"))}
        self.assertEqual(len(hashes), 1)
        self.assertIn("SHA2-256", hashes.pop())


class Names(unittest.TestCase):
    def test_the_data_name_features_that_exist(self):
        for e in entries("glibc") + entries("openssl"):
            self.assertLessEqual(set(e.get("features", [])), set(features()))
