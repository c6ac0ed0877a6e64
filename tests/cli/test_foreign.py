#!/usr/bin/python3
"""Every foreign description with every command that takes machines, as it is and in an archive, a folder and on standard
input. tests/cli/test_foreign.py CPULEVEL"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
FILES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "profile"
HOSTILE = {"billion_laughs.xml"}  # is to be refused


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "COLUMNS": "100"}, **options)


class Foreign(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name)
        cls.forms = {}
        for file in sorted(FILES.iterdir()):
            inner = cls.path / f"folder-{file.name}"
            inner.mkdir()
            (inner / file.name).write_bytes(file.read_bytes())
            tar = cls.path / f"{file.name}.tar.gz"
            subprocess.run(["tar", "-C", FILES, "-czf", tar, file.name], check=True)
            cls.forms[file.name] = [file, inner, tar]

    def nodes(self, file):
        """How many, and of which architecture, by the importer."""
        out = self.path / "imported"
        out.mkdir(exist_ok=True)
        for old in out.iterdir():
            old.unlink()
        done = run("import", file, "-o", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = [json.loads(one.read_text()) for one in out.iterdir()]
        return len(made), made[0]["architecture"]

    def each(self, check):
        for name, forms in self.forms.items():
            for form in forms:
                with self.subTest(form=form.name):
                    check(name, form)

    def check(self, name, done, codes=(0,)):
        if name in HOSTILE:
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn(name, done.stderr)
            return False
        self.assertIn(done.returncode, codes, done.stderr)
        return True

    def test_show(self):
        def check(name, form):
            done = run("show", form, "--json")
            if self.check(name, done):
                count, architecture = self.nodes(FILES / name)
                shown = json.loads(done.stdout)
                shown = shown if isinstance(shown, list) else [shown]
                self.assertEqual((len(shown), shown[0]["architecture"]), (count, architecture))
        self.each(check)

    def test_levels_that_are_not_known(self):
        (self.path / "riscv").write_text("processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n")
        self.assertIn("no named levels for riscv64", run("show", self.path / "riscv").stdout)
        nodes = {"apiVersion": "v1", "kind": "NodeList", "items": [
            {"kind": "Node", "metadata": {"name": "n", "labels": {"kubernetes.io/arch": "amd64"}}}]}
        (self.path / "nfd").write_text(json.dumps(nodes))
        self.assertRegex(run("show", self.path / "nfd").stdout, "level +x86-64 at least")

    def test_baseline(self):
        def check(name, form):
            done = run("baseline", form, "--json")
            if self.check(name, done):
                count, architecture = self.nodes(FILES / name)
                level = json.loads(done.stdout)["level"]
                self.assertEqual((len(level["nodes"]), level["architecture"]), (count, architecture))
        self.each(check)

    def test_compare(self):
        def check(name, form):
            level = self.path / "level.json"
            if not self.check(name, run("baseline", form, "-o", level)):
                return
            # What all of them have each of them can give, as far as it tells its sizes.
            done = run("compare", "--question", "start", level, form, "--json")
            self.check(name, done, (0, 1))
            answer = json.loads(done.stdout)
            answers = answer["answers"] if "answers" in answer else [a for t in answer["types"] for a in t["answers"]]
            for one in answers:
                self.assertIn(one["answer"], ("yes", "unknown"), one)
                self.assertEqual(one["missing"], [])
        self.each(check)

    def test_pools(self):
        def check(name, form):
            done = run("pools", form, "--json")
            if self.check(name, done):
                self.assertEqual(json.loads(done.stdout)["nodes"], self.nodes(FILES / name)[0])
        self.each(check)

    def test_report(self):
        def check(name, form):
            done = run("baseline", form, "--html", "-")
            if self.check(name, done):
                self.assertTrue(done.stdout.startswith("<!doctype html>") or done.stdout.startswith("<!DOCTYPE html>"))
        self.each(check)

    def test_standard_input(self):
        for name, forms in self.forms.items():
            for command in (("show", "-"), ("baseline", "-"), ("pools", "-"), ("baseline", "-", "--html", "-")):
                with self.subTest(name, command=command), open(forms[0], "rb") as file:
                    done = run(*command, stdin=file)
                    if name in HOSTILE:
                        self.assertEqual(done.returncode, 2)
                    elif command[0] == "show" and self.nodes(FILES / name)[0] > 1:
                        self.assertEqual(done.returncode, 2)  # read once, as one machine
                        self.assertIn("one node is wanted", done.stderr)
                    else:
                        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
