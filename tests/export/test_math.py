"""OpenBLAS and oneDNN, as libraries, say what they chose."""

import unittest

from common import exported, named, need_flag, run, text

OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0"
SAY_CORE = f"""
import ctypes
library = ctypes.CDLL({OPENBLAS!r})
library.openblas_get_corename.restype = ctypes.c_char_p
print(library.openblas_get_corename().decode())
a = (ctypes.c_double * 4)(1, 2, 3, 4)
c = (ctypes.c_double * 4)()
library.cblas_dgemm(101, 111, 111, 2, 2, 2, ctypes.c_double(1), a, 2, a, 2, ctypes.c_double(0), c, 2)
print(list(c))
"""
SAY_ISA = "import ctypes; print(ctypes.CDLL('libdnnl.so.2').dnnl_get_effective_cpu_isa())"
# dnnl_cpu_isa_t (oneapi/dnnl/dnnl_types.h, version 2.6).
ISA = {"SSE41": 0x1, "AVX": 0x3, "AVX2": 0x7, "AVX2_VNNI": 0xF, "AVX512_CORE": 0x27, "AVX512_CORE_VNNI": 0x67,
       "AVX512_CORE_BF16": 0xE7}
LEVELS = ("x86-64", "x86-64-v2", "sandybridge", "x86-64-v3", "x86-64-v4", "x86-64-v4-avx512cd")


def here(word, tool):
    """The machine has what the choice uses: without, the library takes less than it is told."""
    flags = {"sse3": "pni", "lzcnt": "abm"}
    for feature in named(tool, "choice")[word]:
        need_flag(flags.get(feature, feature))


class OpenBlas(unittest.TestCase):
    def test_takes_the_core(self):
        need_flag("avx2")
        for level in LEVELS:
            word = text(level, "openblas").partition("=")[2]
            with self.subTest(level):
                here(word, "openblas")
                done = run("python3", "-c", SAY_CORE, environment={"OPENBLAS_NUM_THREADS": "1"} | exported(level, "openblas")["environment"])
                if "cannot open shared object" in done.stderr:
                    self.skipTest("no OpenBLAS here (Debian: libopenblas0-pthread)")
                self.assertEqual(done.stdout.split("\n")[:2], [word, "[7.0, 10.0, 15.0, 22.0]"], done.stderr)


class OneDnn(unittest.TestCase):
    def test_takes_the_ceiling(self):
        need_flag("avx2")
        for level in LEVELS:
            word = text(level, "onednn").partition("=")[2]
            with self.subTest(level):
                here(word, "onednn")
                done = run("python3", "-c", SAY_ISA, environment=exported(level, "onednn")["environment"])
                if "cannot open shared object" in done.stderr:
                    self.skipTest("no oneDNN 2 here (Debian: libdnnl2)")
                self.assertEqual(int(done.stdout), ISA[word], word)
