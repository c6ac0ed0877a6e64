"""For every named level and every profile of data/: no export turns on, or leaves a tool that can be told, what the level
hides. The texts are read by this file's own rules and by data/exports, not by the program's."""

import json
import pathlib
import re
import unittest

from common import SOURCE, cpulevel, entries, exported, features, named, places, shown, text

OFF = {"glibc": r"-([A-Za-z0-9_]+)", "go": r"cpu\.(\w+)=off", "numpy": r"(\w+)", "node": r"(--no-enable-[\w-]+)",
       "java": r"(-XX:-\w+)"}
CHOICE = ("openblas", "mkl", "onednn", "java")


def named_levels():
    return [(one["name"], one["architecture"]) for one in json.loads(cpulevel("show", "--levels", "--json"))["levels"]
            if one["architecture"] in ("x86_64", "aarch64")]


def profiles():
    return [(str(path), "x86_64") for path in sorted((SOURCE / "data" / "profiles").glob("*.json"))]


def formats(architecture):
    return {one["format"] for one in json.loads(cpulevel("export", "--list", "--json"))["formats"]
            if architecture in one["architectures"]}


class NothingHiddenComesBack(unittest.TestCase):
    def each(self, only=None):
        for level, architecture in named_levels() + profiles():
            if only is None or only in formats(architecture):
                with self.subTest(level):
                    yield level, architecture, shown(level)

    def version_has(self, entry, version):
        order = lambda v: [int(part) for part in v.split(".")]
        return version is None or order(entry.get("since", "0")) <= order(version) <= order(entry.get("until", "9999"))

    def test_names_that_hide(self):
        for format, pattern in OFF.items():
            for level, architecture, visible in self.each(format):
                made = exported(level, format)
                value = made["text"].partition("=")[2] if format not in ("node", "java") else made["text"]
                named_now = set(re.findall(pattern, value))
                for entry in entries(format, architecture):
                    if entry["kind"] == "off" and self.version_has(entry, made.get("version")):
                        hidden = not set(entry["features"]) <= visible
                        self.assertEqual(entry["name"] in named_now, hidden, f"{format} {entry['name']}")
                self.assertNotRegex(value, r"=on\b|-XX:\+Use", format)

    def test_choices(self):
        for format in CHOICE:
            for level, architecture, visible in self.each(format):
                made = exported(level, format)
                words = made["text"].strip().replace("=", " ", 1).split()
                for entry in entries(format, architecture):
                    if entry["kind"] == "choice" and entry["name"] in words:
                        self.assertLessEqual(set(entry["features"]) - visible, set(made["cannot_hide"]), f"{format} {entry['name']}")
                        if set(entry["features"]) - visible:
                            self.assertTrue(entry.get("floor"), f"{format} {entry['name']}")

    def bits(self, format, words, masked, level, architecture, visible):
        table = features(architecture)
        for entry in entries(format, architecture):
            if entry["kind"] == "register":
                leaf, subleaf, register = re.fullmatch(r"(0x\w+)\.(\d+):(e.x)", entry["place"]).groups()
                for bit in range(32):
                    name = places().get((int(leaf, 16), int(subleaf), register, bit))
                    at = bit + 32 * entry["half"]
                    own = any(e["kind"] in ("keep", "bit") and e["word"] == entry["word"] and e["bit"] == at
                              for e in entries(format, architecture))
                    if name and not own:
                        on = words[entry["word"]] >> at & 1
                        self.assertEqual(on == (1 if not masked else 0), name in visible, f"{format} {level} {name}")
            if entry["kind"] == "bit":
                if entry["word"] < len(words) and not masked:
                    self.assertLessEqual(words[entry["word"]] >> entry["bit"] & 1, set(entry["features"]) <= visible,
                                         f"{format} {level} {entry['features']}")
        self.assertTrue(table)

    def test_bits(self):
        for level, architecture, visible in self.each("openssl"):
            value = text(level, "openssl").partition("=")[2]
            words = [int(word.removeprefix("~"), 16) for word in value.split(":")]
            self.bits("openssl", words, value.startswith("~"), level, architecture, visible)
            if architecture == "x86_64":
                value = text(level, "openssl", "--absolute").partition("=")[2]
                self.bits("openssl", [int(word, 16) for word in value.split(":")], False, level, architecture, visible)
                words = [int(word, 16) for word in re.findall(r"0x[0-9a-f]+", text(level, "rr"))]
                self.bits("rr", words, True, level, architecture, visible)
                words = [int(word, 16) for word in text(level, "crac").partition("=")[2].split(",")]
                self.bits("crac", words, False, level, architecture, visible)

    def test_lists_of_what_is_shown(self):
        for format, separators, plus in (("gvisor", r"[=,]", ""), ("qemu", ",", "+")):
            for level, architecture, visible in self.each(format):
                if architecture != "x86_64":
                    continue
                made = exported(level, format)
                names = named(format, "show")
                for word in re.split(separators, made["text"].strip())[1:]:
                    if plus and not word.startswith(plus):
                        self.assertRegex(word, r"^(vendor|family|model|stepping|model-id)=")
                        continue
                    self.assertLessEqual(set(names[word.removeprefix(plus)]), visible | set(made["for_kernel"]), f"{format} {word}")
                for feature in made["for_kernel"]:
                    self.assertIs(features()[feature].get("user"), False, feature)

    def test_libvirt(self):
        for level, architecture, visible in self.each("libvirt"):
            if architecture != "x86_64":
                continue
            made = exported(level, "libvirt")
            names = named("libvirt", "show")
            model = re.search(r"<model[^>]*>(.*)</model>", made["text"]).group(1)
            has = set(named("libvirt", "base")[model])
            for policy, name in re.findall(r"policy='(\w+)' name='([^']*)'", made["text"]):
                (has.update if policy == "require" else has.difference_update)(names[name])
            sayable = {f for one in names.values() for f in one}
            self.assertLessEqual(has & sayable, visible | set(made["for_kernel"]), level)
            self.assertLessEqual(has - sayable, {"osxsave", "ospke"}, level)  # the guest's kernel turns these on

    def test_compilers(self):
        for compiler in ("gcc", "clang"):
            for level, architecture, visible in self.each(compiler):
                words = text(level, compiler).split()
                march, *extensions = words[0].removeprefix("-march=").split("+")
                has = set(named(compiler, "base", architecture)[march])
                names = named(compiler, "show", architecture)
                for word in words[1:]:
                    if word.startswith("-mno-"):
                        has -= set(names[word.removeprefix("-mno-")])
                    else:
                        has |= set(names[word.removeprefix("-m")])
                for extension in extensions:
                    has |= set(names[extension])
                self.assertLessEqual(has, visible, words)

    def test_labels(self):
        for level, architecture, visible in self.each("kubernetes"):
            asked = re.findall(r"cpu-cpuid\.(\w+)", text(level, "kubernetes"))
            for name in asked:
                self.assertLessEqual(set(named("nfd", "show", architecture)[name]), visible)
            said = set(re.findall(r"^cpulevel-feature\.(\w+)=true$", text(level, "nfd"), re.MULTILINE))
            self.assertLessEqual(said, visible)
            self.assertTrue(said)

    def test_env_is_its_parts(self):
        for level, architecture, _ in self.each("env"):
            whole = exported(level, "env")["environment"]
            parts = {}
            for format in ("glibc", "openssl", "go", "java", "numpy", "openblas", "mkl", "onednn"):
                if format in formats(architecture):
                    parts |= exported(level, format)["environment"]
            self.assertEqual(whole, parts)

    def test_every_format_was_looked_at(self):
        looked_at = {*OFF, *CHOICE, "openssl", "rr", "crac", "gvisor", "qemu", "libvirt", "gcc", "clang", "nfd", "kubernetes", "env"}
        self.assertEqual(formats("x86_64"), looked_at)


if __name__ == "__main__":
    unittest.main()
