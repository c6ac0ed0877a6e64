#!/usr/bin/python3
"""The files of data/ follow their schemas, and the generator refuses data that cannot be right.

    data_schema_test.py SOURCE_DIR
"""

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import jsonschema

SOURCE = Path(sys.argv.pop(1)) if len(sys.argv) > 1 else Path(__file__).resolve().parents[3]
DATA = SOURCE / "data"
ARCHITECTURES = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "loongarch64")


def load(path):
    def without_doubles(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"{path}: a key is there twice in {keys}"
        return dict(pairs)

    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=without_doubles)


def validator(name):
    schema = load(DATA / "schema" / name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class Schema(unittest.TestCase):
    def test_every_file_follows_its_schema(self):
        for architecture in ARCHITECTURES:
            with self.subTest(architecture):
                validator("features.schema.json").validate(load(DATA / f"{architecture}.json"))
        for name in ("levels", "cpu_models", "targets"):
            validator(f"{name}.schema.json").validate(load(DATA / f"{name}.json"))
        tools = sorted((DATA / "exports").glob("*.json"))
        self.assertTrue(tools)
        for tool in tools:
            with self.subTest(tool.stem):
                validator("tool.schema.json").validate(load(tool))

    def test_the_schema_refuses_what_it_should(self):
        good = load(DATA / "riscv64.json")
        check = validator("features.schema.json")
        for change in (
            lambda f: f.update(name="has-dash"),
            lambda f: f.update(unknown=1),
            lambda f: f.pop("source"),
            lambda f: f.pop("hwcap"),
            lambda f: f.update(rule="MAX"),
            lambda f: (f.update(rule="NEVER"), f.pop("why", None)),
            lambda f: f.update(hwcap=["AT_HWCAP[64]"]),
        ):
            bad = copy.deepcopy(good)
            change(bad["features"][0])
            with self.assertRaises(jsonschema.ValidationError):
                check.validate(bad)


class Generator(unittest.TestCase):
    def generate(self, data, levels, output):
        folder = Path(self.folder.name)
        (folder / "x86_64.json").write_text(json.dumps(data))
        (folder / "levels.json").write_text(json.dumps(levels))
        return subprocess.run(
            [sys.executable, SOURCE / "tools" / "generate_tables.py", "--data", folder, "--architecture", "x86_64",
             "--output", folder / output], capture_output=True, text=True, check=False)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data, self.levels = load(DATA / "x86_64.json"), load(DATA / "levels.json")
        self.by_name = {feature["name"]: feature for feature in self.data["features"]}

    def refused(self, text):
        run = self.generate(self.data, self.levels, "bad.cpp")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(text, run.stderr)
        self.assertFalse((Path(self.folder.name) / "bad.cpp").exists())

    def test_the_same_input_gives_the_same_output(self):
        for output in ("one.cpp", "two.cpp"):
            run = self.generate(self.data, self.levels, output)
            self.assertEqual(run.returncode, 0, run.stderr)
        one, two = ((Path(self.folder.name) / name).read_bytes() for name in ("one.cpp", "two.cpp"))
        self.assertEqual(one, two)

    def test_unknown_need(self):
        self.by_name["avx2"]["needs"]["avx3"] = "nowhere"
        self.refused("avx3")

    def test_cycle(self):
        self.by_name["sse2"]["needs"]["avx2"] = "nowhere"
        self.refused("cycle")

    def test_doubled_place(self):
        self.by_name["avx2"]["cpuid"] = self.by_name["bmi1"]["cpuid"]
        self.refused("are both at")

    def test_doubled_name(self):
        self.by_name["avx2"]["aliases"] = ["SSE4.2"]
        self.refused("names both")

    def test_too_many_features(self):
        for number in range(800):
            self.data["features"].append(
                {"name": f"made_up_{number}", "title": "t", "group": "g", "rule": "AND", "source": "s",
                 "cpuid": [f"0x7.{100 + number}:eax[0]"]})
        self.refused("768")

    def test_fields_over_one_bit(self):
        self.data["fields"].append({"name": "x", "places": ["0x80000008.0:eax[9:4]"], "rule": "MIN", "why": "w"})
        self.refused("share bits")

    def test_never_without_reason(self):
        del self.by_name["uintr"]["why"]
        self.refused("uintr")

    def test_level_with_unknown_feature(self):
        self.levels["levels"][0]["features"].append("sse9")
        self.refused("sse9")

    def test_level_with_what_is_never_shown(self):
        self.levels["levels"][0]["features"].append("amx_tile")
        self.refused("amx_tile")


class ExportGenerator(unittest.TestCase):
    def refused(self, change, text):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder)
            (data / "exports").mkdir()
            for architecture in ("x86_64", "aarch64"):
                (data / f"{architecture}.json").write_text((DATA / f"{architecture}.json").read_text())
            tool = load(DATA / "exports" / "glibc.json")
            change(tool, tool["architectures"]["x86_64"]["entries"])
            (data / "exports" / "glibc.json").write_text(json.dumps(tool))
            run = subprocess.run([sys.executable, SOURCE / "tools" / "generate_exports.py", "--data", data, "--output", data / "o.cpp"],
                                 capture_output=True, text=True, check=False)
            self.assertEqual((run.returncode, (data / "o.cpp").exists()), (0, True) if text is None else (1, False), run.stderr)
            self.assertIn(text or "", run.stderr)

    def test_good_data(self):
        self.refused(lambda tool, entries: None, None)

    def test_unknown_feature(self):
        self.refused(lambda tool, entries: entries[2].update(features=["avx3"]), "avx3")

    def test_doubled_name(self):
        self.refused(lambda tool, entries: entries.append(dict(entries[2])), "twice")

    def test_bad_version(self):
        self.refused(lambda tool, entries: entries[2].update(since="two"), "not a version")

    def test_since_after_until(self):
        self.refused(lambda tool, entries: entries[2].update(since="2.30", until="2.4"), "after until")

    def test_unknown_kind(self):
        self.refused(lambda tool, entries: entries[2].update(kind="maybe"), "unknown kind")

    def test_file_of_another_tool(self):
        self.refused(lambda tool, entries: tool.update(tool="musl"), "musl")


if __name__ == "__main__":
    unittest.main()
