#!/usr/bin/python3
"""The report in Chromium, clicked, typed at and printed as people do. tests/report/test_page.py CPULEVEL [--pictures FOLDER]

Skipped (status 77) where chromium, chromium-driver or python3-selenium is missing."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import browser as chromium

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROFILES = ROOT / "data" / "profiles"
FIXTURES = ROOT / "tests" / "fixtures" / "profile"
PROGRAM = ""
PICTURES = None

# Types of the fleet, and how many nodes of each.
FLEET = {"westmere": 3, "haswell": 12, "skylake-x": 20, "zen2": 14, "zen4": 25, "ice-lake": 9, "gemini-lake": 1}
EVIL = ["<script>window.pwned=1</script>", "</script><script>window.pwned=1</script>", "\"><img src=x onerror=pwned=1>",
        "' onfocus='window.pwned=1", "\u202egnp.exe", "\u8282\u70b9\U0001F5A5", "x" * 200, "{{data}}${pwned=1}`", "]]>--><!--"]
CONTRAST = """
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((c) => c / 255)
      .map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!/rgba\\(.*, 0\\)|transparent/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  if (!element.checkVisibility() || element.closest(".unseen, svg, .skip")) continue;
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
  const pair = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
  const ratio = (pair[0] + .05) / (pair[1] + .05);
  if (ratio < 4.5) poor.push([element.tagName, element.className, element.textContent.slice(0, 30), ratio.toFixed(2)]);
}
return poor.slice(0, 10);
"""


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.browser = chromium.Browser()
        cls.addClassCleanup(cls.browser.close)
        cls.nodes = []
        for name, count in FLEET.items():
            profile = json.loads((PROFILES / f"{name}.json").read_text())
            for number in range(1, count + 1):
                cls.nodes.append(cls.node(profile, f"{name}-n{number:02}"))
        cls.fleet = cls.report("fleet", cls.nodes)
        cls.told = json.loads(run("baseline", *cls.nodes, "--json").stdout)

    @classmethod
    def node(cls, profile, name, file=None):
        path = cls.folder / f"{file or name}.json"
        path.write_text(json.dumps({**profile, "name": name}))
        return path

    @classmethod
    def report(cls, name, nodes, *options):
        page = cls.folder / f"{name}.html"
        done = run("baseline", *nodes, "--name", name, "--html", page, *options)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return page

    def setUp(self):
        self.browser.screen()
        self.browser.colours("light")

    def open(self, page):
        self.browser.open(page)
        self.assertEqual(self.browser.complaints(), [])
        asked = [address for address in self.browser.requests() if not address.startswith(("file:", "data:"))]
        self.assertEqual(asked, [], "the page asked a network")

    def script(self, text, *arguments):
        return self.browser.script(text, *arguments)

    def keys(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains  # pylint: disable=import-outside-toplevel
        ActionChains(self.browser.driver).send_keys(*keys).perform()

    def find(self, selector):
        return self.browser.driver.find_element("css selector", selector)

    def features(self):
        """The rows that are seen."""
        return self.script("return [...document.querySelectorAll('#cells tr[data-f]')]"
                           ".filter((row) => row.getClientRects().length).map((row) => row.querySelector('b').textContent)")

    def type_into(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def picture(self, name, **how):
        if PICTURES:
            self.browser.picture(PICTURES / f"{name}.png", **how)

    # --- what it says

    def test_the_top_answers_at_one_glance(self):
        self.open(self.fleet)
        top = self.find(".glance").text
        losses = [loss for loss in self.told["losses"] if loss["user"]]
        for word in ("x86-64-v2", f"all {len(self.nodes)} nodes", f"{len(FLEET)} CPU types", f"{len(losses)} features",
                     "What it costs", "Who holds it down", "Core i7 X 980"):
            self.assertIn(word, top)
        box = self.script("const box = document.querySelector('.glance').getBoundingClientRect(); return box.bottom")
        self.assertLess(box, 900, "the answer does not fit on the first screen")
        self.picture("desktop")
        self.picture("desktop-whole", whole=True)

    def test_the_matrix_agrees_with_the_json(self):
        self.open(self.fleet)
        table = self.script("""return [...document.querySelectorAll('#cells tr[data-f]')].map((row) =>
            [row.querySelector('b').textContent, [...row.cells].slice(1).map((cell) => cell.className)])""")
        heads = self.script("return [...document.querySelectorAll('#cells thead th[data-t] bdi')].map((e) => e.textContent)")
        self.assertEqual(len(heads), len(FLEET))
        shown = set(self.told["level"]["features"])
        self.assertTrue(shown <= {name for name, _ in table})
        lacking = {loss["feature"]: loss for loss in self.told["losses"]}
        for name, cells in table:
            self.assertEqual(cells[0], "k" if name in shown else "l", name)
            if name in shown:
                self.assertEqual(set(cells[1:]), {"y"}, name)
            else:
                some_lack = bool(lacking[name]["lacking"] or lacking[name]["undescribed"])
                self.assertEqual(bool(set(cells[1:]) - {"y"}), some_lack, name)

    # --- what can be clicked

    def test_rows_can_be_chosen_and_found(self):
        self.open(self.fleet)
        lost = [loss["feature"] for loss in self.told["losses"] if loss["user"]]
        self.assertCountEqual(self.features(), lost)
        self.find("input[name=show][value=kept] + span").click()
        kept = self.features()
        self.assertIn("sse4_2", kept)
        self.assertTrue(set(kept) <= set(self.told["level"]["features"]))
        self.find("input[name=show][value=all] + span").click()
        self.assertCountEqual(self.features(), lost + kept)
        self.find("#kernel").click()
        self.assertCountEqual(self.features(), {loss["feature"] for loss in self.told["losses"]} |
                              set(self.told["level"]["features"]))
        self.find("#kernel").click()
        self.type_into("#find-feature", "AVX2")
        self.assertEqual(self.features(), ["avx2"])
        self.type_into("#find-feature", "no such thing")
        self.assertEqual(self.features(), [])
        self.assertIn("No feature matches", self.find("#none").text)

    def test_columns_can_be_found(self):
        self.open(self.fleet)
        self.type_into("#find-type", "ryzen")
        seen = self.script("return [...document.querySelectorAll('#cells thead th[data-t]')]"
                           ".filter((head) => head.getClientRects().length).map((head) => head.textContent)")
        self.assertEqual(len(seen), 2)
        self.assertTrue(all("Ryzen" in name for name in seen), seen)
        self.assertEqual(self.script("return [...document.querySelector('#f-avx2').cells].filter((c) => !c.hidden).length"), 4)

    def test_nodes_can_be_found_and_shown(self):
        self.open(self.fleet)
        self.type_into("#find-node", "-N03")
        expected = sum(count >= 3 for count in FLEET.values())
        self.assertIn(f"{expected} nodes found", self.find("#found").text)
        self.type_into("#find-node", "zen4-n25")
        self.assertIn("zen4-n25", self.find("#hits").text)
        self.find("#hits button").click()
        cell = self.script("const cell = document.activeElement; const box = cell.getBoundingClientRect();"
                           "return [document.querySelector('#cells thead').rows[0].cells[cell.cellIndex].textContent, box.top]")
        self.assertIn("Ryzen 9 7900X3D", cell[0])
        self.type_into("#find-node", "nobody")
        self.assertIn("0 nodes found", self.find("#found").text)

    def test_explanations(self):
        from selenium.webdriver.common.action_chains import ActionChains  # pylint: disable=import-outside-toplevel
        from selenium.webdriver.support.wait import WebDriverWait  # pylint: disable=import-outside-toplevel
        self.open(self.fleet)
        tip = self.find("#tip")
        self.assertFalse(tip.is_displayed())
        row = self.find("#f-avx2 th")
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", row)
        ActionChains(self.browser.driver).move_to_element(row).perform()
        WebDriverWait(self.browser.driver, 20).until(lambda _: tip.is_displayed())
        data = {one["name"]: one for one in json.loads((ROOT / "data" / "x86_64.json").read_text())["features"]}
        for word in ("avx2", data["avx2"]["title"], "Needs avx", "Needed by"):
            self.assertIn(word, tip.text)
        self.picture("explanation")
        self.find("#f-avx2 td:nth-of-type(2)").click()
        self.assertIn("Core i7 X 980 (3 nodes): lacks it", tip.text)
        self.keys("\ue00c")  # Escape
        self.assertFalse(tip.is_displayed())

    def test_colours_can_be_chosen(self):
        self.open(self.fleet)
        paper = lambda: self.script("return getComputedStyle(document.body).backgroundColor")  # noqa: E731
        light = paper()
        self.browser.colours("dark")
        dark = paper()
        self.assertNotEqual(light, dark)
        self.picture("dark")
        self.find("input[name=theme][value=light] + span").click()
        self.assertEqual(paper(), light)
        self.browser.colours("light")
        self.find("input[name=theme][value=dark] + span").click()
        self.assertEqual(paper(), dark)
        self.find("input[name=theme][value=auto] + span").click()
        self.assertEqual(paper(), light)

    def test_contrast(self):
        self.open(self.fleet)
        for scheme in ("light", "dark"):
            self.browser.colours(scheme)
            self.assertEqual(self.script(CONTRAST), [], scheme)

    # --- by keyboard alone

    def test_skip_links_and_focus(self):
        tab, enter = "\ue004", "\ue007"
        self.open(self.fleet)
        self.keys(tab)
        self.assertEqual(self.script("return document.activeElement.hash"), "#types")
        box = self.script("const box = document.activeElement.getBoundingClientRect(); return [box.left, box.top]")
        self.assertTrue(min(box) >= 0, "the skip link is not seen when it has the focus")
        self.keys(tab, enter)
        self.assertEqual(self.script("return document.activeElement.id"), "matrix")
        order = []
        for _ in range(6):
            self.keys(tab)
            order.append(self.script("const e = document.activeElement; return e.id || e.name || e.tagName"))
            outline = self.script("const e = document.activeElement; const of = (x) => getComputedStyle(x).outlineStyle;"
                                  "return [of(e), e.nextElementSibling ? of(e.nextElementSibling) : '']")
            self.assertTrue({"solid", "auto"} & set(outline), f"no visible focus on {order[-1]}")
        self.assertEqual(order[:5], ["show", "find-feature", "find-type", "kernel", "TH"])

    def test_arrow_keys_walk_the_matrix(self):
        down, up, right, left, home, end, control = "\ue015", "\ue013", "\ue014", "\ue012", "\ue011", "\ue010", "\ue009"
        self.open(self.fleet)
        where = lambda: self.script(  # noqa: E731
            "const e = document.activeElement; return [e.parentElement.querySelector('b').textContent, e.cellIndex]")
        names = self.features()
        self.keys("/")
        self.assertEqual(self.script("return document.activeElement.id"), "find-feature")
        self.keys("\ue004", "\ue004", "\ue004")
        self.assertEqual(where(), [names[0], 0])
        self.keys(down, down, right, right, right)
        self.assertEqual(where(), [names[2], 3])
        self.assertTrue(self.find("#tip").is_displayed())
        self.assertTrue(self.script("return document.querySelector('#told').textContent"))
        self.keys(up, left)
        self.assertEqual(where(), [names[1], 2])
        self.keys(end)
        self.assertEqual(where(), [names[1], len(FLEET) + 1])
        self.keys(home)
        self.assertEqual(where(), [names[1], 0])
        self.keys(up, up, up)
        self.assertEqual(where(), [names[0], 0])
        from selenium.webdriver.common.action_chains import ActionChains  # pylint: disable=import-outside-toplevel
        ActionChains(self.browser.driver).key_down(control).send_keys(end).key_up(control).perform()
        self.assertEqual(where(), [names[-1], len(FLEET) + 1])
        hidden = self.script("""const box = document.activeElement.getBoundingClientRect();
            const head = document.querySelector('#cells thead').getBoundingClientRect();
            const grid = document.querySelector('#grid').getBoundingClientRect();
            return box.top < head.bottom - 1 || box.bottom > grid.bottom + 1""")
        self.assertFalse(hidden, "the cell with the focus is covered")
        self.assertEqual(self.script("return document.querySelectorAll('#cells [tabindex=\"0\"]').length"), 1)
        self.assertEqual(self.script("return document.querySelector('#cells').getAttribute('role')"), "grid")

    # --- elsewhere than on a desk

    def test_a_phone(self):
        self.browser.screen(390, 844, mobile=True)
        self.open(self.fleet)
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 390)
        self.picture("phone", whole=True)

    def test_printed(self):
        self.open(self.fleet)
        pdf = self.folder / "fleet.pdf"
        self.browser.pdf(pdf)
        if PICTURES:
            (PICTURES / "print.pdf").write_bytes(pdf.read_bytes())
        text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
        for word in ("x86-64-v2", "Who holds it down", "Core i7 X 980", "avx2", "zen4-n[01-25]"):
            self.assertIn(word, text)
        for name in self.features():
            self.assertRegex(text, rf"(?m)(^|\s){re.escape(name)}\s", name)
        self.assertNotIn("Find a feature", text)

    def test_without_scripts(self):
        self.browser.command("Emulation.setScriptExecutionDisabled", value=True)
        try:
            self.browser.open(self.fleet)
            text = self.find("body").text
        finally:
            self.browser.command("Emulation.setScriptExecutionDisabled", value=False)
        for word in ("x86-64-v2", "Who holds it down", "avx2"):
            self.assertIn(word, text)
        self.assertNotIn("Kernel", text)

    # --- other fleets

    def test_hostile_names(self):
        profile = json.loads((PROFILES / "zen2.json").read_text())
        nodes = [self.node(profile, name, f"evil{number}") for number, name in enumerate(EVIL)]
        profile["identity"]["brand"] = "</script><script>window.pwned=1</script>"
        nodes.append(self.node(profile, "evil brand"))
        page = self.report("evil", [*nodes, PROFILES / "haswell.json"])
        self.open(page)
        self.find("#nodes summary").click()
        self.type_into("#find-node", "window.pwned")
        self.assertIn("3 nodes found", self.find("#found").text)
        for button in self.browser.driver.find_elements("css selector", "#hits button")[:2]:
            button.click()
        self.assertIsNone(self.script("return window.pwned ?? null"))
        self.assertEqual(self.script("return document.images.length + document.scripts.length"), 2)
        self.assertEqual(self.browser.complaints(), [])
        self.assertIn("\\u{202e}gnp.exe", page.read_text())
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), 1280)
        self.picture("hostile", whole=True)

    def test_the_policy_lets_no_other_script_run(self):
        self.open(self.fleet)
        self.script("const s = document.createElement('script'); s.textContent = 'window.pwned = 1';"
                    "document.body.append(s)")
        self.assertIsNone(self.script("return window.pwned ?? null"))
        self.assertTrue(any("Content Security Policy" in line for line in self.browser.complaints()))

    def test_arm64_and_what_is_not_told(self):
        arm = self.report("arm", [FIXTURES / "cpuinfo_arm64.txt"])
        self.open(arm)
        self.assertIn("aarch64", self.find(".glance").text)
        self.assertIn("the one node", self.find(".glance").text)
        partly = self.report("partly", [FIXTURES / "cpuinfo_x86.txt", PROFILES / "zen4.json"])
        self.open(partly)
        undetermined = json.loads(run("baseline", FIXTURES / "cpuinfo_x86.txt", PROFILES / "zen4.json",
                                      "--json").stdout)["level"]["undetermined"]
        self.assertTrue(undetermined)
        self.assertIn("To be certain", self.find("#notes").text)
        self.assertTrue(self.script("return document.querySelectorAll('#cells td.u').length"))

    def test_a_refused_meet_writes_nothing(self):
        page = self.folder / "refused.html"
        done = run("baseline", FIXTURES / "cpuinfo_arm64.txt", PROFILES / "zen4.json", "--html", page)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("architecture", done.stderr)
        self.assertFalse(page.exists())
        page.write_text("old")
        self.assertEqual(run("baseline", "/nonexistent", "--html", page).returncode, 2)
        self.assertEqual(page.read_text(), "old")

    def test_several_outputs(self):
        page, level = self.folder / "both.html", self.folder / "both.json"
        both = run("baseline", *self.nodes, "--html", page, "-o", level, "--json")
        self.assertEqual(both.returncode, 0, both.stderr)
        self.assertEqual(json.loads(both.stdout)["level"], json.loads(level.read_text()))
        self.assertTrue(page.read_text().startswith("<!DOCTYPE html>"))
        level.unlink()
        printed = run("baseline", *self.nodes, "--html", "-", "-o", level)
        self.assertEqual(printed.stdout, page.read_text())
        self.assertTrue(level.exists())
        for pair in (("--html", "-", "--json"), ("--html", "-", "-o", "-")):
            done = run("baseline", *self.nodes, *pair)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("standard output", done.stderr)
        full = run("baseline", *self.nodes, "--html", "/nonexistent/page.html")
        self.assertEqual(full.returncode, 2)
        self.assertIn("/nonexistent/page.html", full.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    if "--pictures" in sys.argv:
        at = sys.argv.index("--pictures")
        PICTURES = pathlib.Path(sys.argv[at + 1])
        PICTURES.mkdir(parents=True, exist_ok=True)
        del sys.argv[at:at + 2]
    absent = chromium.missing()
    if absent:
        print(f"SKIPPED: not installed: {absent}")
        sys.exit(77)
    # The page tells the day; a test must not depend on midnight.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1764000000")
    unittest.main(verbosity=2)
