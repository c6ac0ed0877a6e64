"""All CPU models of QEMU: each answer of query-cpu-model-expansion imports as what QEMU says, and what export makes of it
gives QEMU the same features again."""

import json
import pathlib
import tempfile
import unittest

from common import cpulevel, exported, features, named, tool
from test_guests import Monitor


def names(architecture="x86_64"):
    """A property of QEMU -> canonical name."""
    plain = lambda name: name.lower().replace(".", "_").replace("-", "_")
    found = {}
    for name, feature in features(architecture).items():
        for one in [*feature.get("aliases", []), name]:
            found[plain(one)] = name
    return lambda prop: found.get(plain(prop))


class Models(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def imported(self, answers, file):
        """The profiles of a session in which these models were asked for, by name."""
        session = self.path / file
        session.write_text("".join(json.dumps(line) + "\n" for line in answers))
        out = self.path / (file + ".d")
        out.mkdir()
        cpulevel("import", session, "-o", out)
        made = [json.loads(one.read_text()) for one in out.iterdir()]
        return {one["name"]: (one, path) for one, path in zip(made, out.iterdir())}

    def expand(self, monitor, kind, models):
        answers, props = [{"QMP": {"version": {}}}], {}
        for model in models:
            try:
                made = monitor.do("query-cpu-model-expansion", type=kind, model={"name": model})
            except AssertionError:
                continue  # this QEMU does not expand it here (host, without KVM)
            answers.append({"execute": "query-cpu-model-expansion", "arguments": {"type": kind, "model": {"name": model}}})
            answers.append({"return": made})
            props[model] = made["model"].get("props", {})
        return answers, props

    def test_x86(self):
        with Monitor(tool("qemu-system-x86_64", "qemu-system-x86"), "-machine", "none,accel=tcg") as monitor:
            models = [one["name"] for one in monitor.do("query-cpu-definitions")]
            self.assertGreater(len(models), 60)
            name_of = names()
            for kind in ("static", "full"):
                answers, props = self.expand(monitor, kind, models)
                self.assertGreater(len(props), 60)
                made = self.imported(answers, kind)
                self.assertEqual(set(made), set(props))
                for model, properties in props.items():
                    with self.subTest(model, kind=kind):
                        told = {name_of(p): v for p, v in properties.items() if isinstance(v, bool) and name_of(p)}
                        profile = made[model][0]
                        wanted = {name for name, value in told.items() if value}
                        self.assertEqual(set(profile["features"]) - {"osxsave"}, wanted - {"osxsave"})
                        self.assertEqual(set(profile["known"]) - {"osxsave"}, set(told) - {"osxsave"})
            self.back_to_qemu(monitor, props, made, name_of)

    def back_to_qemu(self, monitor, props, made, name_of):
        """Never more than the model has; of what QEMU has names for, all that a level keeps."""
        nameable = {f for all_of in named("qemu", "show").values() for f in all_of}
        for model in props:
            with self.subTest(model):
                level = self.path / f"{model}.level"
                cpulevel("baseline", made[model][1], "-o", level)
                wanted = set(json.loads(level.read_text())["features"])
                again = exported(str(level), "qemu")
                words = [word[1:] for word in again["text"].strip().split(",") if word.startswith("+")]
                back = monitor.do("query-cpu-model-expansion", type="full", model={"name": "base", "props": {w: True for w in words}})
                has = {name_of(p) for p, v in back["model"]["props"].items() if v is True and name_of(p)} & nameable
                self.assertEqual(has - set(again["for_kernel"]), wanted & nameable - set(again["for_kernel"]))
                self.assertLessEqual(has - set(again["for_kernel"]), set(made[model][0]["features"]))

    def test_arm64(self):
        with Monitor(tool("qemu-system-aarch64", "qemu-system-arm"), "-machine", "none,accel=tcg") as monitor:
            answers, props = self.expand(monitor, "full", [one["name"] for one in monitor.do("query-cpu-definitions")])
        # Of most models QEMU tells switches of its own only ("pmu"), which are no description of a CPU.
        told = {model: p for model, p in props.items() if any(names("aarch64")(one) for one in p)}
        self.assertIn("max", told)
        made = self.imported([answers[0], *(line for ask, answer in zip(answers[1::2], answers[2::2])
                                            if ask["arguments"]["model"]["name"] in told for line in (ask, answer))], "arm64")
        self.assertEqual(set(made), set(told))
        for model, properties in told.items():
            with self.subTest(model):
                known = {names("aarch64")(p) for p, v in properties.items() if isinstance(v, bool)} - {None}
                self.assertEqual(set(made[model][0]["known"]), known)
                self.assertEqual(made[model][0]["architecture"], "aarch64")
