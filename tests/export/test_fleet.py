"""What is for rr, gVisor, Node Feature Discovery and Kubernetes: Debian has rr's options only, so the forms of the others."""

import os
import pathlib
import re
import tempfile
import unittest

import common
from common import cpulevel, exported, named, places, run, shown, text, tool


class Rr(unittest.TestCase):
    REGISTERS = ((1, 0, "ecx"), (1, 0, "edx"), (7, 0, "ebx"), (7, 0, "ecx"), (7, 0, "edx"), (0xD, 1, "eax"))

    def test_rr_takes_the_options(self):
        rr = tool("rr")
        for level in ("x86-64", "x86-64-v3"):
            done = run(rr, "record", *text(level, "rr").split(), "/bin/true", environment={"_RR_TRACE_DIR": "/nonexistent"})
            self.assertNotRegex(done.stderr + done.stdout, r"(?i)unrecognized|invalid|usage")
        done = run(rr, "record", "--disable-cpuid-features", "none", "/bin/true", environment={"_RR_TRACE_DIR": "/nonexistent"})
        self.assertNotEqual(done.returncode, 0)  # so it reads them

    def test_the_masks_leave_the_level(self):
        for level in ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"):
            masks = [int(mask, 16) for mask in re.findall(r"0x[0-9a-f]+", text(level, "rr"))]
            self.assertEqual(len(masks), 6)
            for mask, at in zip(masks, self.REGISTERS):
                for bit in range(32):
                    name = places().get((*at, bit))
                    if name:
                        self.assertEqual(mask >> bit & 1 == 0, name in shown(level), f"{name} at {level}")


class GVisor(unittest.TestCase):
    def test_the_list_is_the_level(self):
        key, _, words = text("x86-64-v3", "gvisor").partition("=")
        self.assertEqual(key, "dev.gvisor.internal.cpufeatures")
        names = named("gvisor", "show")
        self.assertEqual({f for word in words.split(",") for f in names[word]} | set(exported("x86-64-v3", "gvisor")["cannot_show"]),
                         shown("x86-64-v3"))


class NodeFeatureDiscovery(unittest.TestCase):
    LINE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?=[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

    def test_lines(self):
        for level in ("x86-64-v3", "armv8.2-a"):
            lines = text(level, "nfd").split("\n")
            self.assertIn(f"cpulevel-level.{level}=true", lines)
            for line in lines:
                self.assertTrue(self.LINE.fullmatch(line), line)

    def test_a_half_written_file_is_never_seen(self):
        """NFD skips files that begin with a dot: only such a one, and then the whole file, may be there."""
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "log"
            target = pathlib.Path(folder) / "features.d"
            target.mkdir()
            command = [tool("strace"), "-f", "-o", log, "-e", "trace=openat,rename,renameat,renameat2,linkat", common.CPULEVEL,
                       "export", "x86-64-v3", "--to", "nfd", "-q", "-o", target / "cpulevel"]
            done = run(*command)
            if "ptrace" in done.stderr and done.returncode != 0:
                self.skipTest(f"strace does not work here: {done.stderr}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((target / "cpulevel").read_text().strip(), text("x86-64-v3", "nfd"))
            self.assertEqual(os.listdir(target), ["cpulevel"])
            made = re.findall(r'openat\([^"]*"([^"]*)", [^)]*O_CREAT', log.read_text())
            self.assertTrue(made)
            for path in made:
                self.assertTrue(os.path.basename(path).startswith("."), path)
            self.assertRegex(log.read_text(), r"rename")


class Kubernetes(unittest.TestCase):
    def test_the_stanza(self):
        try:
            import yaml
        except ImportError:
            self.skipTest("no YAML reader here (Debian: python3-yaml)")
        for level, architecture in (("x86-64-v3", "amd64"), ("armv8.2-a", "arm64")):
            stanza = yaml.safe_load(text(level, "kubernetes"))
            terms = stanza["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
            self.assertEqual(len(terms), 1)
            rules = {rule["key"]: rule for rule in terms[0]["matchExpressions"]}
            self.assertEqual(rules.pop("kubernetes.io/arch")["values"], [architecture])
            names = named("nfd", "show", "x86_64" if architecture == "amd64" else "aarch64")
            asked = set()
            for key, rule in rules.items():
                self.assertEqual((rule["operator"], rule["values"]), ("In", ["true"]))
                asked |= set(names[key.removeprefix("feature.node.kubernetes.io/cpu-cpuid.")])
            self.assertLessEqual(asked, shown(level))
            self.assertEqual(asked | set(exported(level, "kubernetes")["cannot_show"]), shown(level) - self.kernels(level))

    def kernels(self, level):
        from common import features
        table = features("x86_64" if level.startswith("x86") else "aarch64")
        return {name for name in shown(level) if table[name].get("user", True) is False}

    def test_nothing_that_nfd_does_not_publish(self):
        self.assertNotIn("BMI1", cpulevel("export", "-q", "x86-64-v3", "--to", "kubernetes"))
