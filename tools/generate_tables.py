#!/usr/bin/env python3
"""Turns data/ARCH.json and data/levels.json into constexpr C++ tables.

    generate_tables.py --data DIR --architecture NAME --output FILE    one architecture's table
    generate_tables.py --data DIR --maxima --output FILE               the known maxima
    generate_tables.py --data DIR --models --output FILE               CPU models and microarchitectures' names

The output depends on the input only. Data that cannot be right is refused with the place: an unknown or doubled
name, a dependency cycle, two features at one place, two fields over one bit, more features than a FeatureSet holds.
"""

import argparse
import json
import re
import sys
from pathlib import Path

MAXIMUM_FEATURES = 768  # kMaximumFeatures in src/arch/feature_set.h; the generated file asserts that they agree
ALL_SUBLEAVES = 0xFFFFFFFF
REGISTERS = ("eax", "ebx", "ecx", "edx")
RULES = {"AND": "And", "MAX": "Max", "MIN": "Min", "EQUAL": "Equal", "UNION": "Union", "LIVE": "Live",
         "NAMED": "Named", "NEVER": "Never"}
HWCAP_WORDS = {"AT_HWCAP": 0, "AT_HWCAP2": 1, "AT_HWCAP3": 2, "AT_HWCAP4": 3}
FEATURE_PLACE = re.compile(r"(0x[0-9a-f]+)\.([0-9]+):(e[abcd]x)\[([0-9]+)\]")
FIELD_PLACE = re.compile(r"(0x[0-9a-f]+)\.([0-9]+|\*)(?:-([0-9]+|\*))?:(e[abcd]x)\[([0-9]+):([0-9]+)\]")
HWCAP_PLACE = re.compile(r"(AT_HWCAP[234]?)\[([0-9]+)\]")


class BadData(Exception):
    pass


def key_of(name):
    """How a name is compared: lower case, '.' and '-' as '_'. FeatureTable::find does the same."""
    return name.lower().replace(".", "_").replace("-", "_")


def feature_places(feature):
    for text in feature.get("cpuid", []):
        match = FEATURE_PLACE.fullmatch(text)
        if not match or int(match[4]) > 31:
            raise BadData(f"{feature['name']}: '{text}' is not a CPUID place such as 0x7.0:ebx[5]")
        yield int(match[1], 16), int(match[2]), match[3], int(match[4])


def hwcap_places(feature):
    for text in feature.get("hwcap", []):
        match = HWCAP_PLACE.fullmatch(text)
        if not match or int(match[2]) > 63:
            raise BadData(f"{feature['name']}: '{text}' is not a HWCAP place such as AT_HWCAP2[1]")
        yield HWCAP_WORDS[match[1]], int(match[2])


def field_places(field):
    for text in field["places"]:
        match = FIELD_PLACE.fullmatch(text)
        if not match:
            raise BadData(f"field {field['name']}: '{text}' is not a place such as 0xd.2-63:ebx[31:0]")
        first = 0 if match[2] == "*" else int(match[2])
        last = first if match[3] is None else ALL_SUBLEAVES if match[3] == "*" else int(match[3])
        if match[2] == "*":
            last = ALL_SUBLEAVES
        high, low = int(match[5]), int(match[6])
        if not (low <= high <= 31 and first <= last):
            raise BadData(f"field {field['name']}: '{text}' runs backwards or over the register")
        yield int(match[1], 16), first, last, match[4], low, high


def check_names(features):
    """All names and aliases by key; a key belongs to one feature."""
    index = {}
    for number, feature in enumerate(features):
        if not re.fullmatch(r"[a-z0-9_]+", feature["name"]):
            raise BadData(f"{feature['name']}: a canonical name has lower case letters, digits and '_' only")
        for name in [feature["name"], *feature.get("aliases", [])]:
            owner = index.setdefault(key_of(name), number)
            if owner != number:
                raise BadData(f"'{name}' names both {features[owner]['name']} and {feature['name']}")
    if len(features) > MAXIMUM_FEATURES:
        raise BadData(f"{len(features)} features; a FeatureSet holds {MAXIMUM_FEATURES}")
    return index


def check_places(features):
    taken = {}
    for feature in features:
        places = [("cpuid", *p) for p in feature_places(feature)] + [("hwcap", *p) for p in hwcap_places(feature)]
        if not places:
            raise BadData(f"{feature['name']}: has no place")
        for place in places:
            if place in taken:
                raise BadData(f"{feature['name']} and {taken[place]} are both at {place}")
            taken[place] = feature["name"]


def check_needs(features, ids):
    """Every need is a canonical name, and nothing needs itself by any road."""
    for feature in features:
        for need in feature.get("needs", {}):
            if need not in ids:
                raise BadData(f"{feature['name']} needs '{need}', which is no feature's canonical name")
    done, path = set(), []

    def visit(name):
        if name in path:
            raise BadData("cycle: " + " -> ".join(path[path.index(name):] + [name]))
        if name in done:
            return
        path.append(name)
        for need in features[ids[name]].get("needs", {}):
            visit(need)
        path.pop()
        done.add(name)

    for feature in features:
        visit(feature["name"])


def split_fields(fields, features):
    """The fields without the bits that are features: a consumer may treat each bit by the one rule that it has."""
    bits = {}
    for feature in features:
        for leaf, subleaf, register, bit in feature_places(feature):
            bits.setdefault((leaf, register), {}).setdefault(subleaf, set()).add(bit)
    pieces = []
    for field in fields:
        if field["rule"] not in RULES:
            raise BadData(f"field {field['name']}: unknown rule {field['rule']}")
        for leaf, first, last, register, low, high in field_places(field):
            cut = {s: b for s, b in bits.get((leaf, register), {}).items() if first <= s <= last}
            start = first
            for subleaf in sorted(cut):
                if subleaf > start:
                    pieces.append((field, leaf, start, subleaf - 1, register, low, high))
                run = None
                for bit in range(low, high + 2):
                    free = bit <= high and bit not in cut[subleaf]
                    if free and run is None:
                        run = bit
                    elif not free and run is not None:
                        pieces.append((field, leaf, subleaf, subleaf, register, run, bit - 1))
                        run = None
                start = subleaf + 1
            if start <= last:
                pieces.append((field, leaf, start, last, register, low, high))
    for i, (a, leaf, first, last, register, low, high) in enumerate(pieces):
        for b, leaf2, first2, last2, register2, low2, high2 in pieces[:i]:
            if (leaf, register) == (leaf2, register2) and first <= last2 and first2 <= last and low <= high2 \
                    and low2 <= high:
                raise BadData(f"fields {a['name']} and {b['name']} share bits of leaf {leaf:#x} {register}")
    return pieces


def expand_levels(levels, architecture, features, ids):
    """Each level of the architecture with all that it includes and needs, as sorted feature numbers."""
    known = {}
    for level in levels:
        if level["architecture"] != architecture:
            continue
        name = level["name"]
        if name in known:
            raise BadData(f"level {name} is there twice")
        if key_of(name) in {key_of(f["name"]) for f in features}:
            raise BadData(f"level {name} has the name of a feature")
        members = set()
        for other in level.get("includes", []):
            if other not in known:
                raise BadData(f"level {name} includes '{other}', which is not a level before it")
            members |= known[other][0]
        todo = [*level["features"], *level.get("also", [])]
        while todo:
            feature = todo.pop()
            if feature not in ids:
                raise BadData(f"level {name}: '{feature}' is no feature's canonical name")
            if feature in members:
                continue
            if features[ids[feature]]["rule"] == "NEVER":
                raise BadData(f"level {name}: {feature} is never shown")
            members.add(feature)
            todo += features[ids[feature]].get("needs", {})
        known[name] = (members, level)
    return [(level, sorted(ids[m] for m in members)) for members, level in known.values()]


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isascii() or not escaped.isprintable():
        raise BadData(f"text is not printable ASCII: {text!r}")
    return f'"{escaped}"'


class Pool:
    """One array of all lists of a kind; each feature gets a part of it."""

    def __init__(self, kind, name):
        self.kind, self.name, self.items = kind, name, []

    def add(self, items):
        start = len(self.items)
        self.items += items
        return f"std::span({self.name}).subspan({start}, {len(items)})" if items else "{}"

    def text(self):
        body = "".join(f"    {item},\n" for item in self.items)
        return f"[[maybe_unused]] constexpr std::array<{self.kind}, {len(self.items)}> {self.name} = {{{{\n{body}}}}};\n\n"


def table_text(data, levels, architecture):
    features = data["features"]
    if data["architecture"] != architecture:
        raise BadData(f"the file is for {data['architecture']}")
    index = check_names(features)
    ids = {feature["name"]: number for number, feature in enumerate(features)}
    check_places(features)
    check_needs(features, ids)
    pieces = split_fields(data.get("fields", []), features)
    expanded = expand_levels(levels, architecture, features, ids)

    aliases, cpuid = Pool("std::string_view", "kAliases"), Pool("CpuidPlace", "kCpuid")
    hwcap, needs = Pool("HwcapPlace", "kHwcap"), Pool("FeatureId", "kNeeds")
    members = Pool("FeatureId", "kLevelFeatures")
    feature_rows = Pool("Feature", "kFeatures")
    field_rows, level_rows = Pool("CpuidField", "kFields"), Pool("NamedLevel", "kLevels")
    names = Pool("NameEntry", "kNames")

    def boolean(feature, name, default):
        return "true" if feature.get(name, default) else "false"

    rows = []
    for feature in features:
        if feature["rule"] not in ("AND", "NEVER"):
            raise BadData(f"{feature['name']}: a feature's rule is AND or NEVER")
        if feature["rule"] == "NEVER" and not feature.get("why"):
            raise BadData(f"{feature['name']}: NEVER needs a reason (why)")
        rows.append(
            f"Feature{{.name = {quoted(feature['name'])},"
            f" .aliases = {aliases.add([quoted(a) for a in feature.get('aliases', [])])},"
            f" .title = {quoted(feature['title'])}, .group = {quoted(feature['group'])},"
            f" .cpuid = {cpuid.add([f'{{{l:#x}, {s}, Register::{r}, {b}}}' for l, s, r, b in feature_places(feature)])},"
            f" .hwcap = {hwcap.add([f'{{{w}, {b}}}' for w, b in hwcap_places(feature)])},"
            f" .xcr0 = {int(feature.get('xcr0', '0'), 16):#x}, .rule = Rule::{RULES[feature['rule']]},"
            f" .needs = {needs.add([f'FeatureId{{{ids[n]}}}' for n in sorted(feature.get('needs', {}))])},"
            f" .user = {boolean(feature, 'user', True)}, .security = {boolean(feature, 'security', False)},"
            f" .hint_space = {boolean(feature, 'hint_space', False)}, .moves = {boolean(feature, 'moves', True)},"
            f" .why = {quoted(feature.get('why', ''))}, .source = {quoted(feature['source'])}}}")
    feature_rows.add(rows)
    field_rows.add([
        f"CpuidField{{{quoted(field['name'])}, {leaf:#x}, {first:#x}, {last:#x}, Register::{register}, {low}, {high},"
        f" Rule::{RULES[field['rule']]}, {quoted(field['why'])}}}"
        for field, leaf, first, last, register, low, high in pieces])
    level_rows.add([
        f"NamedLevel{{{quoted(level['name'])}, {members.add([f'FeatureId{{{i}}}' for i in numbers])},"
        f" {quoted(level['source'])}}}" for level, numbers in expanded])
    names.add([f"NameEntry{{{quoted(key)}, FeatureId{{{number}}}}}" for key, number in sorted(index.items())])

    pools = (aliases, cpuid, hwcap, needs, members, feature_rows, field_rows, level_rows, names)
    return (
        f"// Generated by tools/generate_tables.py from data/{architecture}.json and data/levels.json. Do not edit.\n"
        '#include <array>\n#include <span>\n\n#include "arch/tables.h"\n\n'
        "namespace cpulevel::arch::generated {\n\nnamespace {\n\n"
        f"static_assert(kMaximumFeatures == {MAXIMUM_FEATURES});\n\n"
        + "".join(pool.text() for pool in pools)
        + "}  // namespace\n\n"
        f"constinit const FeatureTable {architecture}(Architecture::{architecture}, kFeatures, kFields, kLevels,"
        " kNames);\n\n}  // namespace cpulevel::arch::generated\n")


def maxima_text(maxima):
    return (
        "// Generated by tools/generate_tables.py from data/levels.json. Do not edit.\n"
        '#include "arch/tables.h"\n\n'
        "namespace cpulevel::arch::generated {\n\n"
        f"constinit const KnownMaxima maxima{{.xsave_area = {int(maxima['xsave_area']['bytes'])},"
        f" .minimum_signal_stack = {int(maxima['minimum_signal_stack']['bytes'])}}};\n\n"
        "}  // namespace cpulevel::arch::generated\n")


def closed(features, ids, start, what):
    """The smallest set that has all of `start` and what they need, as sorted feature numbers."""
    members, todo = set(), list(start)
    while todo:
        name = todo.pop()
        if name not in ids:
            raise BadData(f"{what}: '{name}' is no feature's canonical name")
        if name not in members:
            members.add(name)
            todo += features[ids[name]].get("needs", {})
    return sorted(ids[name] for name in members)


def models_text(folder, levels):
    tables, sets = {}, {}
    for path in folder.glob("*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("schema") == "cpulevel/features/1":
            ids = {feature["name"]: number for number, feature in enumerate(data["features"])}
            tables[data["architecture"]] = data["features"], ids
            sets[data["architecture"]] = {
                level["name"]: [data["features"][i]["name"] for i in numbers]
                for level, numbers in expand_levels(levels, data["architecture"], data["features"], ids)}
    models = json.loads((folder / "cpu_models.json").read_text(encoding="utf-8"))
    entries = {"kModels": [(models["architecture"], entry) for entry in models["models"]],
               "kTargets": [(entry["architecture"], entry) for entry in json.loads(
                   (folder / "targets.json").read_text(encoding="utf-8"))["targets"]]}
    members = Pool("FeatureId", "kMembers")
    pools = []
    for pool_name, group in entries.items():
        pool, seen = Pool("CpuModel", pool_name), set()
        for architecture, entry in group:
            start = list(entry["features"])
            if "level" in entry:
                if entry["level"] not in sets[architecture]:
                    raise BadData(f"{entry['names'][0]}: '{entry['level']}' is no level of {architecture}")
                start += sets[architecture][entry["level"]]
            numbers = closed(*tables[architecture], start, entry["names"][0])
            part = members.add([f"FeatureId{{{number}}}" for number in numbers])
            for name in entry["names"]:
                if name in seen:
                    raise BadData(f"{name} is there twice")
                seen.add(name)
                pool.add([f"CpuModel{{{quoted(name)}, Architecture::{architecture}, {part}}}"])
        pools.append(pool)
    return (
        "// Generated by tools/generate_tables.py from data/cpu_models.json and data/targets.json. Do not edit.\n"
        '#include <array>\n#include <span>\n\n#include "arch/tables.h"\n\n'
        "namespace cpulevel::arch::generated {\n\nnamespace {\n\n"
        + members.text() + "".join(pool.text() for pool in pools)
        + "}  // namespace\n\n"
        "constinit const std::span<const CpuModel> models(kModels);\n"
        "constinit const std::span<const CpuModel> targets(kTargets);\n\n"
        "}  // namespace cpulevel::arch::generated\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--architecture")
    what.add_argument("--maxima", action="store_true")
    what.add_argument("--models", action="store_true")
    options = parser.parse_args()
    source = options.data / ("levels.json" if options.maxima else
                             "cpu_models.json" if options.models else f"{options.architecture}.json")
    try:
        levels = json.loads((options.data / "levels.json").read_text(encoding="utf-8"))
        if options.maxima:
            text = maxima_text(levels["maxima"])
        elif options.models:
            text = models_text(options.data, levels["levels"])
        else:
            text = table_text(json.loads(source.read_text(encoding="utf-8")), levels["levels"], options.architecture)
    except (BadData, OSError, ValueError, KeyError) as error:
        sys.exit(f"{source}: {type(error).__name__}: {error}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
