#!/usr/bin/python3
"""The command line as a user meets it: exit statuses, messages, files, formats. tests/cli/test_cli.py CPULEVEL"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
PROFILES = pathlib.Path(__file__).resolve().parents[2] / "data" / "profiles"


def run(*arguments, **options):
    environment = {**os.environ, "COLUMNS": "80", **options.pop("env", {})}
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120,
                          check=False, **options)


class Usage(unittest.TestCase):
    def refused(self, arguments, status, *words):
        done = run(*arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith("cpulevel: "), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_wrong_words_are_named_with_the_nearest_right_one(self):
        self.refused(["bseline"], 2, "unknown command: bseline", "did you mean baseline?")
        self.refused(["scan", "--jsn"], 2, "unknown option: --jsn", "did you mean --json?")
        self.refused(["show", "x86-64-v2+aess"], 2, "aess", "did you mean aes?")
        self.refused(["baseline", PROFILES / "haswell.json", "--allow", "amx_tle"], 2, "amx_tle", "amx_tile")
        self.refused(["baseline", PROFILES / "haswell.json", "--like", "hasswell"], 2, "hasswell", "haswell")
        self.refused([], 2, "no command given")

    def test_the_action_script_is_for_criu(self):
        self.refused(["criu-action"], 2, "this is for CRIU to call", "CRTOOLS_SCRIPT_ACTION")
        # CRIU calls it without arguments; what is not one of its steps, and a folder that is not ours, is none of our business.
        with tempfile.TemporaryDirectory() as images:
            for step in ("status-ready", "network-lock", "pre-restore"):
                done = run(env={"CRTOOLS_SCRIPT_ACTION": step, "CRTOOLS_IMAGE_DIR": images})
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), step)
            (pathlib.Path(images) / "cpulevel.json").write_text("{}")
            done = run(env={"CRTOOLS_SCRIPT_ACTION": "pre-restore", "CRTOOLS_IMAGE_DIR": images})
            self.assertEqual(done.returncode, 2)
            self.assertIn("cpulevel.json", done.stderr)

    def test_dump_and_restore_want_what_they_need(self):
        self.refused(["dump", str(os.getpid())], 2, "--images")
        self.refused(["restore", "/nonexistent"], 2, "no such folder")
        self.refused(["restore", "/usr"], 2, "not a checkpoint of a levelled tree")
        self.refused(["restore", ""], 2, "is empty")
        with tempfile.TemporaryDirectory() as images:
            self.refused(["dump", "2147483647", "-D", images, "--criu", "/bin/true"], 3, "no CRIU that works")
            self.refused(["dump", "1", "-D", images, "--wait", "3"], 2, "--to")
            self.assertEqual(os.listdir(images), [])

    def test_unreadable_input(self):
        self.refused(["show", "/nonexistent/a.json"], 2, "/nonexistent/a.json", "No such file")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('{"schema": "cpulevel/profile/999"}')
            file.flush()
            self.refused(["show", file.name], 2, file.name, "cpulevel/profile/999")

    def test_every_command_explains_itself_in_80_columns(self):
        overview = run("--help")
        self.assertEqual(overview.returncode, 0)
        listed = overview.stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()
        commands = [line.split()[0] for line in listed if not line.startswith("   ")]
        for command in ("scan", "import", "baseline", "compare", "show", "run"):
            self.assertIn(command, commands)
        for command in commands:
            done = run(command, "--help")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Usage: cpulevel " + command, done.stdout)
            self.assertIn("Examples:", done.stdout, command)
            self.assertIn({"run": "--report", "inherit": "--report", "criu-action": "--action-script"}.get(command, "--json"), done.stdout, command)

    def test_run_keeps_its_own_statuses(self):
        self.assertEqual(run("run", "--nonsense").returncode, 125)
        self.assertEqual(run("run", "--level", "x86-64-v2", "--", "/nonexistent").returncode, 127)

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([PROGRAM, "show", "--levels"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"No space left", done.stderr)
        closed = subprocess.run(["sh", "-c", f"'{PROGRAM}' show --levels >&-"], stderr=subprocess.PIPE, check=False)
        self.assertEqual(closed.returncode, 2)

    def test_no_colour_but_on_a_terminal(self):
        self.assertNotIn("\x1b", run("show", PROFILES / "haswell.json").stdout)


class Work(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def test_scan_is_a_profile_that_show_reads(self):
        scanned = run("scan", "--name", "me", "-o", self.path / "me.json")
        self.assertEqual(scanned.returncode, 0, scanned.stderr)
        profile = json.loads((self.path / "me.json").read_text())
        self.assertEqual((profile["schema"], profile["name"]), ("cpulevel/profile/1", "me"))
        self.assertEqual(run("show", self.path / "me.json", "--json").stdout, (self.path / "me.json").read_text())
        again = run("import", self.path / "me.json", "--json")
        self.assertEqual(json.loads(again.stdout)["features"], profile["features"])

    def test_baseline_names_who_lacks_what(self):
        done = run("baseline", PROFILES / "westmere.json", PROFILES / "haswell.json", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        losses = {loss["feature"]: loss for loss in told["losses"]}
        self.assertEqual(losses["avx2"]["reason"], "absent")
        self.assertEqual(losses["avx2"]["lacking"], ["westmere"])
        self.assertNotIn("avx2", told["level"]["features"])
        self.assertIn("sse4_2", told["level"]["features"])
        text = run("baseline", PROFILES / "westmere.json", PROFILES / "haswell.json").stdout
        self.assertIn("lacked by westmere", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_baseline_says_who_holds_the_level_down(self):
        nodes = []
        for name, count in {"westmere": 1, "gemini-lake": 1, "haswell": 3, "zen4": 5}.items():
            profile = json.loads((PROFILES / f"{name}.json").read_text())
            for number in range(1, count + 1):
                nodes.append(self.path / f"{name}{number}.json")
                nodes[-1].write_text(json.dumps({**profile, "name": f"{name}{number}"}))
        text = run("baseline", *nodes).stdout
        holders = text.split("Who holds it down\n")[1]
        self.assertRegex(holders, r"westmere1 +1 +\d+ +the same")
        self.assertRegex(holders, r"gemini-lake1, westmere1 +2 +\d+ +x86-64-v3")
        self.assertIn("haswell[1-3]", holders)
        # The same words mean the same: features are those that programs can use, unless all are asked for.
        told = json.loads(run("baseline", *nodes, "--json").stdout)
        lost = sum(loss["user"] for loss in told["losses"])
        self.assertIn(f"Lost: {lost} features that some node has and programs can use", text)
        self.assertIn(f"Lost: {len(told['losses'])} features that some node has\n", run("baseline", *nodes, "--all").stdout)
        self.assertNotIn("Who holds it down", run("baseline", PROFILES / "haswell.json").stdout)

    def test_a_level_file_is_taken_wherever_a_level_is(self):
        level = self.path / "level.json"
        made = run("baseline", PROFILES / "haswell.json", PROFILES / "zen2.json", "-o", level, "--name", "two")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(run("compare", level, PROFILES / "haswell.json").returncode, 0)
        self.assertEqual(run("compare", level, PROFILES / "westmere.json").returncode, 1)
        self.assertIn("two", run("show", level).stdout)

    def test_compare_answers_each_question_for_itself(self):
        done = run("compare", "x86-64-v3", PROFILES / "haswell.json", PROFILES / "westmere.json", "--json")
        answers = {answer["question"]: answer for answer in json.loads(done.stdout)["answers"]}
        self.assertEqual(done.returncode, 1)
        self.assertEqual(answers["start"]["answer"], "yes")
        self.assertEqual(answers["move"]["answer"], "no")

    def test_a_failed_command_leaves_the_old_file(self):
        kept = self.path / "level.json"
        kept.write_text("old")
        done = run("baseline", PROFILES / "haswell.json", "/nonexistent.json", "-o", kept)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(kept.read_text(), "old")
        self.assertEqual([entry.name for entry in self.path.iterdir()], ["level.json"])

    def test_import_into_a_folder_makes_a_file_of_each(self):
        done = run("import", PROFILES / "haswell.json", PROFILES / "zen2.json", "-o", self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(entry.name for entry in self.path.iterdir()), ["haswell.json", "zen2.json"])

    def test_completions_parse(self):
        for shell in ("bash", "zsh", "fish"):
            script = run("completion", shell).stdout
            self.assertIn("baseline", script)
            if shell == "bash":
                check = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
                self.assertEqual(check.stderr, "")


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad else 0)
