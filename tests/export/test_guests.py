"""QEMU and libvirt take the virtual CPUs, and a guest would see the level in them."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

from common import PLAIN, exported, named, places, run, shown, text, tool

PROFILES = pathlib.Path(__file__).resolve().parents[2] / "data" / "profiles"
LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v3-bmi2+aes", "znver3", str(PROFILES / "haswell.json"),
          str(PROFILES / "zen4.json"))
NOBODY = 65534


class Monitor:
    """A QEMU that waits before its first instruction, by its monitor (QMP)."""

    def __init__(self, program, *options):
        self.qemu = subprocess.Popen([program, "-nodefaults", "-display", "none", "-S", "-qmp", "stdio", *options],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN)
        self.qemu.stdout.readline()
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        try:
            self.qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.qemu.stdin.flush()
        except BrokenPipeError:
            pass
        for line in self.qemu.stdout:
            answer = json.loads(line)
            if "error" in answer:
                raise AssertionError(answer["error"])
            if "return" in answer:
                return answer["return"]
        raise AssertionError(self.qemu.stderr.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.communicate()


class Qemu(unittest.TestCase):
    def asked_for(self, cpu):
        """The features of a CPU: what the guest gets, and what was wanted and TCG does not have."""
        with Monitor(tool("qemu-system-x86_64", "qemu-system-x86"), "-machine", "pc,accel=tcg", "-m", "16", "-cpu", cpu) as monitor:
            path = monitor.do("query-cpus-fast")[0]["qom-path"]
            sets = []
            for name in ("feature-words", "filtered-features"):
                found = set()
                for word in monitor.do("qom-get", path=path, property=name):
                    at = (word["cpuid-input-eax"], word.get("cpuid-input-ecx", 0), word["cpuid-register"].lower())
                    found |= {places().get((*at, bit)) for bit in range(32) if word["features"] >> bit & 1}
                sets.append(found - {None})
            return sets

    def test_a_guest_has_the_level_and_no_more(self):
        nameable = {f for features in named("qemu", "show").values() for f in features}
        for level in LEVELS:
            with self.subTest(level):
                made = exported(level, "qemu")
                got, filtered = self.asked_for(text(level, "qemu"))
                wanted = (shown(level) | set(made["for_kernel"])) & nameable
                self.assertEqual(got | filtered, wanted)
                self.assertEqual(set(made["for_kernel"]) & shown(level), set())

    def test_it_is_enforced_where_tcg_has_the_features(self):
        for level in ("x86-64", "x86-64-v2", "x86-64-v3"):
            got, filtered = self.asked_for(text(level, "qemu") + ",enforce")
            self.assertEqual(filtered, set(), level)
            self.assertIn("sse2", got)

    def test_enforce_fails_where_it_has_not(self):
        with self.assertRaises(AssertionError):
            self.asked_for(text("x86-64-v4", "qemu") + ",enforce")

    def test_identity(self):
        cpu = text(str(PROFILES / "haswell.json"), "qemu")
        self.assertRegex(cpu, r",vendor=GenuineIntel,family=6,model=60,stepping=\d+,model-id=Intel")

    def test_expansion_of_the_model(self):
        with Monitor(tool("qemu-system-x86_64", "qemu-system-x86"), "-machine", "none") as monitor:
            name, *words = text("x86-64-v3", "qemu").split(",")
            on = {word[1:] for word in words}
            model = monitor.do("query-cpu-model-expansion", type="full", model={"name": name, "props": {word: True for word in on}})
            props = model["model"]["props"]
            self.assertEqual({name for name in named("qemu", "show") if props.get(name) is True}, on)

    def test_arm64_models(self):
        program = tool("qemu-system-aarch64", "qemu-system-arm")
        cpu = text("armv8.2-a+aes+pmull+sha1+sha2+asimdhp+asimddp+lrcpc", "qemu")
        self.assertEqual(cpu, "neoverse-n1")
        with Monitor(program, "-machine", "virt", "-m", "64", "-cpu", cpu) as monitor:
            self.assertEqual(monitor.do("query-cpus-fast")[0]["target"], "aarch64")


class Libvirt(unittest.TestCase):
    def setUp(self):
        self.virsh = tool("virsh", "libvirt-clients")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        os.chmod(self.folder.name, 0o777)

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(content)
        os.chmod(path, 0o644)
        return path

    def embedded(self, *words):
        """virsh with libvirt's QEMU driver inside of it: no daemon. Not as root, who would need libvirt's own user."""
        drop = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        done = run(self.virsh, "-q", "-c", f"qemu:///embed?root={self.folder.name}/driver", *words,
                   environment={"HOME": self.folder.name, "XDG_RUNTIME_DIR": self.folder.name}, **drop)
        if "failed to connect" in done.stderr:
            self.skipTest(f"libvirt's QEMU driver does not start here (Debian: libvirt-daemon-driver-qemu): {done.stderr}")
        return done

    def test_the_schemas_take_it(self):
        validate, lint = tool("virt-xml-validate", "libvirt-clients"), tool("xmllint", "libxml2-utils")
        for level in LEVELS:
            with self.subTest(level):
                cpu = text(level, "libvirt")
                self.assertEqual(run(lint, "--noout", self.file("cpu.xml", cpu)).returncode, 0)
                domain = self.file("domain.xml", "<domain type='kvm'><name>x</name><memory>65536</memory><os><type arch='x86_64' "
                                   f"machine='pc'>hvm</type></os>{cpu}</domain>")
                done = run(validate, domain)
                if "no schema" in done.stderr.lower():
                    self.skipTest("libvirt's schemas are not here (Debian: libvirt-daemon)")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_libvirt_expands_it_to_the_level(self):
        ours = {name: features[0] for name, features in named("libvirt", "show").items()}
        for level in ("x86-64-v2", "x86-64-v3", str(PROFILES / "haswell.json")):
            with self.subTest(level):
                cpu = self.file("cpu.xml", text(level, "libvirt"))
                done = self.embedded("hypervisor-cpu-compare", "--virttype", "qemu", cpu)
                self.assertIn("described in", done.stdout, done.stderr)
                if level.startswith("x86"):  # TCG has these
                    self.assertIn("superset", done.stdout)
                done = self.embedded("hypervisor-cpu-baseline", "--virttype", "qemu", "--features", cpu)
                if done.returncode != 0:
                    self.fail(done.stderr)
                required = {f.get("name") for f in ElementTree.fromstring(done.stdout).findall("feature")
                            if f.get("policy") == "require"}
                seen = {ours[name] for name in required if name in ours}
                allowed = shown(level) | set(exported(level, "libvirt")["for_kernel"])
                self.assertEqual(seen - allowed, set())
                if level.startswith("x86"):
                    self.assertEqual(seen, allowed & set(ours.values()))

    def test_arm64_is_well_formed(self):
        lint = tool("xmllint", "libxml2-utils")
        cpu = self.file("cpu.xml", text("armv8.2-a+aes+pmull+sha1+sha2+asimdhp+asimddp+lrcpc", "libvirt"))
        self.assertEqual(run(lint, "--noout", cpu).returncode, 0)
        model = re.search(r"<model[^>]*>(.*)</model>", text("armv8.2-a+aes+pmull+sha1+sha2+asimdhp+asimddp+lrcpc", "libvirt")).group(1)
        here = pathlib.Path("/usr/share/libvirt/cpu_map")
        if not here.exists():
            self.skipTest("no list of libvirt's models here (Debian: libvirt-daemon)")
        self.assertTrue((here / f"arm_{model}.xml").exists(), model)
