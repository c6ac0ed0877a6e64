#!/usr/bin/python3
"""Fleets on the command line: folders, archives, streams, updates, pools. tests/cli/test_fleet.py CPULEVEL"""
import base64
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
PROJECT = pathlib.Path(__file__).resolve().parents[2]
PROFILES = PROJECT / "data" / "profiles"
MODELS = ["haswell", "zen2", "skylake-x", "westmere"]


def run(*arguments, **options):
    environment = {**os.environ, "COLUMNS": "100", **options.pop("env", {})}
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120,
                          check=False, **options)


def node(number, model=None):
    profile = json.loads((PROFILES / ((model or MODELS[number % len(MODELS)]) + ".json")).read_text())
    profile["name"] = f"node{number:03}"
    profile["kernel"] = f"6.1.{number}"
    return profile


class Fleet(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        (self.path / "nodes").mkdir()
        for number in range(100):
            (self.path / "nodes" / f"{number:03}.json").write_text(json.dumps(node(number), indent=2))

    def done(self, *arguments, status=0, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def features(self, *arguments, **options):
        return json.loads(self.done("baseline", *arguments, "--json", **options).stdout)["level"]["features"]

    def test_the_same_level_from_everything_it_comes_in(self):
        wanted = self.features(*(PROFILES / f"{model}.json" for model in MODELS))
        nodes = self.path / "nodes"
        self.assertEqual(self.features(nodes), wanted)
        tar = self.path / "nodes.tar.gz"
        subprocess.run(["tar", "-C", self.path, "-czf", tar, "nodes"], check=True)
        self.assertEqual(self.features(tar), wanted)
        with open(tar, "rb") as packed:
            self.assertEqual(self.features("-", stdin=packed), wanted)
        lines = "".join(json.dumps(node(number)) + "\n" for number in range(100))
        self.assertEqual(self.features("-", input=lines), wanted)
        etcd = {"kvs": [{"key": base64.b64encode(b"/n/%d" % n).decode(),
                         "value": base64.b64encode(json.dumps(node(n)).encode()).decode()} for n in range(8)]}
        self.assertEqual(self.features("-", input=json.dumps(etcd)), wanted)
        plain = "".join(f"/n/{n}\n{json.dumps(node(n))}\n" for n in range(8))
        self.assertEqual(self.features("-", input=plain), wanted)
        maps = {"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"n{n}"}, "data": {"p": json.dumps(node(n))}}
            for n in range(8)]}
        self.assertEqual(self.features("-", input=json.dumps(maps)), wanted)

    def test_recipes_hand_on_profiles_and_not_tables(self):
        documents = [*(PROJECT / "docs").rglob("*"), PROJECT / "README.md"]
        recipes = [line for document in documents if document.suffix in (".md", ".scd")
                   for line in re.findall(r"^(?!\|)(?:.* )?(cpulevel scan[^|\n]*)\|[^|]", document.read_text(), re.M)]
        self.assertTrue(recipes)
        for recipe in recipes:
            self.assertRegex(recipe, "--json|-o -")
        # Word for word, with what etcdctl does to the value.
        piped = subprocess.run([PROGRAM, "scan", "--json"], capture_output=True, text=True, check=True).stdout
        etcd = {"kvs": [{"key": base64.b64encode(b"/n/1").decode(), "value": base64.b64encode(piped.encode()).decode()}]}
        self.features("-", input=json.dumps(etcd))

    def test_many_nodes_are_shown_by_type(self):
        text = self.done("baseline", self.path / "nodes").stdout
        self.assertIn("100 nodes of 4 types", text)
        self.assertIn("node000 (+24)", text)
        self.assertNotIn("node004", text)
        few = self.done("baseline", *(self.path / "nodes" / f"{n:03}.json" for n in range(10))).stdout
        self.assertIn("10 nodes\n", few)
        self.assertIn("node004", few)
        like = self.done("baseline", self.path / "nodes", "--like", "node005").stdout
        self.assertIn("AMD Ryzen 9 3950X", like.split("Features")[0])

    def test_one_that_cannot_be_read(self):
        (self.path / "nodes" / "050.json").write_text('{"schema": "cpulevel/profile/1", "nmae": 1}')
        level = self.path / "level.json"
        result = self.done("baseline", self.path / "nodes", "-o", level, status=2)
        self.assertIn("050.json", result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertFalse(level.exists())
        result = self.done("baseline", self.path / "nodes", "-o", level, "--keep-going", status=2)
        self.assertIn("050.json", result.stderr)
        self.assertIn("99 nodes of 4 types", result.stdout)
        self.assertIn("1 description could not be read; the level is of the others", json.loads(level.read_text())["warnings"])

    def test_an_archive_that_is_cut(self):
        tar, cut, level = self.path / "nodes.tar", self.path / "cut.tar", self.path / "level.json"
        subprocess.run(["tar", "-C", self.path, "-cf", tar, "nodes"], check=True)
        cut.write_bytes(tar.read_bytes()[:tar.stat().st_size // 2])
        self.assertIn("ends in the middle", self.done("baseline", cut, status=2).stderr)
        result = self.done("baseline", cut, "-o", level, "--keep-going", status=2)
        self.assertRegex(result.stdout, "\n[45][0-9] nodes of 4 types\n")
        for text in (result.stderr, " ".join(json.loads(level.read_text())["warnings"])):
            self.assertIn("the rest is missing, and an unknown number of nodes with it", text)
            self.assertNotIn("the level is of the others", text)

    def test_no_output_becomes_an_input(self):
        nodes = [self.path / "nodes" / "000.json", self.path / "nodes" / "001.json"]
        level = self.path / "fleet.json"
        self.done("baseline", *nodes, "-o", level, "--updatable")
        before = level.read_text(), nodes[0].read_text()
        (self.path / "link.json").symlink_to(level)
        for inputs, output in (([*nodes, level], level), ([*nodes, "link.json"], "fleet.json"), (nodes, nodes[0])):
            told = self.done("baseline", *inputs, "-o", output, status=2, cwd=self.path).stderr
            self.assertIn("the output is also one of the inputs", told)
            self.assertIn("leave this file out of the inputs", told)
        folder = self.path / "nodes"
        for output in (folder / "level.json", folder / ".." / "nodes" / "level.json"):
            self.assertIn("lies in a folder of inputs", self.done("baseline", folder, "-o", output, status=2).stderr)
        self.assertIn("lies in a folder of inputs", self.done("baseline", ".", "--html", "x.html", status=2, cwd=folder).stderr)
        self.assertIn("lies in a folder of inputs", self.done("pools", folder, "--pools", "2", "-o", folder, status=2).stderr)
        self.assertIn("also one of the inputs", self.done("baseline", "--update", level, level, status=2).stderr)
        self.assertEqual(before, (level.read_text(), nodes[0].read_text()))
        self.assertEqual(len(list(folder.iterdir())), 100)
        # What is not read is not in the way; nor is the fleet that is brought up to date.
        self.done("baseline", folder, "-o", folder / ".level.json")
        self.done("baseline", "--update", level, folder / "002.json")
        self.done("baseline", "--update", level, folder / "003.json", "-o", level)
        for a, b in ((self.path / "new", "new"), (level, "link.json")):
            told = self.done("baseline", *nodes, "-o", a, "--html", b, status=2, cwd=self.path).stderr
            self.assertIn("two outputs would be one file", told)

    def test_a_level_under_which_nothing_starts(self):
        old = node(0)
        old["features"], old["known"] = ["fpu"], ["fpu", "sse2"]
        old.update(origin="test", cpus=[])
        old.pop("xsave", None)
        (self.path / "old.json").write_text(json.dumps(old))
        level = self.path / "level.json"
        result = self.done("baseline", self.path / "old.json", "-o", level)
        self.assertIn("no 64-bit program of a Linux distribution starts", " ".join(result.stdout.split()))
        self.assertIn("no program starts under it", result.stdout)
        self.assertNotIn("cpulevel run", result.stdout)
        # A node of Kubernetes of which nothing else is known; its level starts programs, also without a vendor.
        (self.path / "nodes.json").write_text(json.dumps({"apiVersion": "v1", "kind": "NodeList", "items": [
            {"kind": "Node", "metadata": {"name": "n", "labels": {"kubernetes.io/arch": "amd64"}}}]}))
        result = self.done("baseline", self.path / "nodes.json", "-o", level)
        self.assertNotIn("no 64-bit program", " ".join(result.stdout.split()))
        self.assertIn("cpulevel run", result.stdout)
        self.assertNotIn("identity", json.loads(level.read_text()))

    def test_a_profile_without_a_name_is_called_after_its_file(self):
        for number in range(2):
            (self.path / f"unnamed{number}.json").write_text(json.dumps({**node(number), "name": ""}))
        self.assertIn("unnamed1.json", self.done("baseline", self.path / "unnamed0.json", self.path / "unnamed1.json").stdout)
        (self.path / "nodes" / "100.json").write_text(json.dumps({**node(0), "name": ""}, indent=2))
        told = json.loads(self.done("pools", self.path / "nodes", "--json").stdout)
        self.assertIn("100.json", json.dumps(told))

    def test_a_pipe_stays_a_pipe(self):
        # As root, /dev/null itself would be replaced: tried on a pipe of our own.
        pipe = self.path / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen([PROGRAM, "baseline", self.path / "nodes", "-o", pipe], stdout=subprocess.PIPE) as process:
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, reader)
            process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertTrue(pipe.is_fifo())
        self.assertIn(b"cpulevel/level/1", os.read(reader, 65536))

    def test_update(self):
        level, nodes = self.path / "fleet.json", self.path / "nodes"
        self.done("baseline", nodes, "--updatable", "-o", level)
        kept = json.loads(level.read_text())
        self.assertEqual(kept["schema"], "cpulevel/level/2")
        self.assertEqual(sum(one["count"] for one in kept["types"]), 100)
        self.done("show", level)
        # A level with types is a level like any other: what reads levels reads it.
        self.assertIn("yes", self.done("compare", level, nodes / "000.json").stdout)
        # Without the Westmeres (every fourth), and back again: what is left is the level of the others.
        gone = [n for n in range(100) if n % 4 == 3]
        self.done("baseline", "--update", level, "--remove", ",".join(f"node{n:03}" for n in gone))
        others = [nodes / f"{n:03}.json" for n in range(100) if n % 4 != 3]
        updated = json.loads(level.read_text())
        self.assertEqual(updated["features"], self.features(*others))
        self.assertEqual(len(updated["types"]), 3)
        self.done("baseline", "--update", level, *(nodes / f"{n:03}.json" for n in gone))
        again = json.loads(level.read_text())
        self.assertEqual(again["features"], kept["features"])
        self.assertEqual(sorted(map(json.dumps, (t["nodes"] for t in again["types"]))),
                         sorted(map(json.dumps, (t["nodes"] for t in kept["types"]))))
        before = level.read_text()
        for arguments, words in ((["--remove", "node0999"], "node099"), ([nodes / "001.json"], "node001"), ([], "nothing to update")):
            self.assertIn(words, self.done("baseline", "--update", level, *arguments, status=2).stderr)
        self.assertEqual(level.read_text(), before)
        plain = self.path / "plain.json"
        self.done("baseline", nodes, "-o", plain)
        self.assertEqual(json.loads(plain.read_text())["schema"], "cpulevel/level/1")
        self.assertIn("--updatable", self.done("baseline", "--update", plain, "--remove", "node001", status=2).stderr)
        kept["types"][0]["count"] = 1
        level.write_text(json.dumps(kept))
        self.assertIn("types[0]", self.done("baseline", "--update", level, "--remove", "node001", status=2).stderr)

    def test_compare(self):
        nodes = self.path / "nodes"
        text = self.done("compare", "x86-64-v3", nodes, status=1).stdout
        self.assertIn("x86-64-v3 on 100 nodes of 4 types", text)
        first = text.splitlines()[2]
        self.assertRegex(first, r"no +no +25 +node003 \(\+24\) .*lacks fma ")
        self.assertIn("75 nodes can give it, 25 nodes cannot.", text)
        answers = json.loads(self.done("compare", "x86-64-v3", nodes, "--json", status=1).stdout)
        self.assertEqual((answers["yes"], answers["no"], answers["unknown"]), (75, 25, 0))
        for one in answers["types"]:
            model = MODELS[int(one["nodes"][0].split("[")[1][:3]) % 4]
            single = json.loads(self.done("compare", "x86-64-v3", PROFILES / f"{model}.json", "--json", status=1 if model == "westmere" else 0).stdout)
            self.assertEqual([(a["question"], a["answer"], a["missing"]) for a in one["answers"]],
                             [(a["question"], a["answer"], a["missing"]) for a in single["answers"]])
        self.assertIn("All of them can give it.", self.done("compare", "x86-64-v2", nodes).stdout)
        lines = "".join(json.dumps(node(number)) + "\n" for number in range(4))
        self.done("compare", "x86-64-v3", "-", input=lines, status=1)
        self.done("compare", "--question", "start", "x86-64-v2", "-", input=lines)
        tar = self.path / "one.tar"
        subprocess.run(["tar", "-C", nodes, "-cf", tar, "000.json"], check=True)
        self.assertIn("start on node000?", self.done("compare", "x86-64-v2", tar).stdout.replace("\n", " "))
        for arguments, words in (((nodes, tar), "from one machine"), ((tar, nodes), "to one machine"), ((nodes, "--differences"), "one machine")):
            self.assertIn(words, self.done("compare", "x86-64-v2", *arguments, status=2).stderr)
        (nodes / "050.json").write_text("{")
        self.assertIn("050.json", self.done("compare", "x86-64-v2", nodes, status=2).stderr)
        self.assertIn("99 nodes", self.done("compare", "x86-64-v2", nodes, "--keep-going", status=2).stdout)

    def test_alone_costs_is_the_same_everywhere(self):
        nodes = self.path / "nodes"
        told = json.loads(self.done("baseline", nodes, "--json").stdout)
        alone = {one["node"]: set(one["features"]) for one in told["alone"]}
        for type in range(4):
            others = self.features(*(nodes / f"{n:03}.json" for n in range(100) if n % 4 != type))
            self.assertEqual(alone.get(f"node{type:03} (+24)", set()), set(others) - set(told["level"]["features"]))
        self.assertGreater(len(alone["node003 (+24)"]), 10)
        text = self.done("baseline", nodes, "--all").stdout
        ranked = json.loads(self.done("pools", nodes, "--json").stdout)["removals"]
        for one in ranked:
            self.assertEqual(set(one["gained"]), alone.get(f"node{int(one['without'][0]['nodes'][0].split('[')[1][:3]):03} (+24)", set()))
        self.assertIn("alone costs", text)

    def test_an_option_takes_one_word(self):
        self.done("baseline", "--allow", "amx_tile", PROFILES / "zen2.json", PROFILES / "haswell.json")
        self.done("compare", "--question", "start", "x86-64-v2", PROFILES / "zen2.json")
        self.done("pools", "--lose-only", "avx2", PROFILES / "zen2.json")
        self.done("export", "--for", "go=1.21", "x86-64-v2", "--to", "go")

    def test_numbers_that_pools_takes(self):
        nodes = self.path / "nodes"
        for word in ("zen4:0", "zen4:10000001", "zen4:99999999999", "zen4:99999999999999999999999"):
            told = self.done("pools", nodes, "--with", word, status=2).stderr
            self.assertIn("from 1 to 10,000,000", told)
        self.done("pools", nodes, "--with", "zen4:10000")
        self.assertIn("the number of pools is 1 or more", self.done("pools", nodes, "--pools", "0", status=2).stderr)

    def test_pools(self):
        nodes = self.path / "nodes"
        text = self.done("pools", nodes).stdout
        self.assertIn("What each number of pools keeps", text)
        self.assertIn("What holds the one level down", text)
        self.assertIn("node003 (+24)", text.split("without", 1)[1].splitlines()[1], "Westmere holds it down most")
        levels = self.path / "levels"
        levels.mkdir()
        told = json.loads(self.done("pools", nodes, "--pools", "2", "-o", levels, "--json").stdout)
        self.assertTrue(told["exact"])
        self.assertEqual(sum(pool["nodes"] for pool in told["pools"]), 100)
        for number, pool in enumerate(told["pools"], 1):
            written = json.loads((levels / f"pool-{number}.json").read_text())
            self.assertEqual(written, pool["level"])
            self.done("show", levels / f"pool-{number}.json")
        west = self.done("pools", nodes, "--never-lose", "avx2").stdout
        self.assertIn("2 pools", west)
        self.assertIn("needed", self.done("pools", nodes, "--never-lose", "avx2", "--pools", "1", status=1).stderr)
        self.done("pools", nodes, "--lose-at-most", "0")
        self.assertIn("--never-lose", self.done("pools", nodes, "--lose-at-most", "avx2", status=2).stderr)
        self.assertIn("avx2", self.done("pools", nodes, "--never-lose", "avx22", status=2).stderr)
        what = self.done("pools", nodes, "--without", ",".join(f"node{n:03}" for n in range(3, 100, 4)), "--with", "zen4:50").stdout
        self.assertIn("125 nodes instead of 100", what)
        self.assertIn("gains", what)
        self.assertIn("zen4", self.done("pools", nodes, "--with", "zen44", status=2).stderr)
        (self.path / "values").write_text('{"avx512f": 1000, "others": 0}')
        only = json.loads(self.done("pools", nodes, "--pools", "2", "--values", self.path / "values", "--json").stdout)
        self.assertEqual(only["value"], 25 * 1000, "the Skylakes alone keep the only feature that is worth something")

    def test_no_progress_bar_but_on_a_terminal(self):
        self.assertEqual(self.done("baseline", self.path / "nodes").stderr, "")
        # A stream that does not end: the bar comes, on standard error.
        parent, child = pty.openpty()
        with subprocess.Popen([PROGRAM, "baseline", "-", "-o", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=child) as process:
            os.close(child)
            line = (json.dumps(node(0)) + "\n").encode()
            seen = b""
            os.set_blocking(parent, False)
            for _ in range(20000):
                process.stdin.write(line * 10)
                try:
                    seen += os.read(parent, 4096)
                except BlockingIOError:
                    pass
                if b" read" in seen:
                    break
            process.stdin.close()
            self.assertEqual(process.wait(timeout=60), 0)
        os.close(parent)
        self.assertIn(b" read", seen)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    result = unittest.main(exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad else 0)
