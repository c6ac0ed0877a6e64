#!/usr/bin/env python3
"""Asks QEMU what its x86 CPU models stand for, and writes data/cpu_models.json from the answers:

    tools/cpu_models_from_qemu.py > data/cpu_models.json

Left out is what a model's name does not promise everywhere: libvirt's models of the same name, and older and newer
machine types, have it or have it not. A model then stands for the features on which all agree.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

# Of the system or the hypervisor, or added to and taken from models over the years.
DISPUTED = {"hypervisor", "arat", "npt", "nrip_save", "topoext", "monitor", "arch_capabilities", "vme", "mpx", "xsaves",
            "ss", "acpi", "mca", "apic", "vmx"}
# By the beginning of the model's name.
DISPUTED_IN = {"Haswell": {"f16c", "lzcnt", "rdrand", "xsaveopt"}, "Broadwell": {"f16c", "lzcnt", "rdrand", "xsaveopt"},
               "SandyBridge": {"xsaveopt"}, "IvyBridge": {"xsaveopt"}, "Westmere": {"pclmulqdq"},
               "Skylake-Server": {"clflushopt", "pku"}, "Cascadelake": {"pku"}, "qemu64": {"lahf_lm"},
               "core2duo": {"cx16", "lahf_lm"},
               "phenom": {"cx16", "lahf_lm", "lzcnt", "pdpe1gb", "popcnt", "rdtscp", "sse4a"}}
# Not models of a 64-bit processor, or not of any certain one.
SKIPPED = ("486", "athlon", "base", "coreduo", "host", "kvm32", "max", "n270", "pentium", "qemu32")


def ask(commands):
    qemu = subprocess.Popen(["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    qemu.stdout.readline()  # greeting
    answers = []
    for command in [{"execute": "qmp_capabilities"}, *commands]:
        qemu.stdin.write(json.dumps(command) + "\n")
        qemu.stdin.flush()
        answer = {"event": None}
        while "event" in answer:
            answer = json.loads(qemu.stdout.readline())
        answers.append(answer)
    qemu.stdin.write('{"execute": "quit"}\n')
    qemu.stdin.flush()
    qemu.communicate()
    return answers[1:]


def key_of(name):
    return name.lower().replace(".", "_").replace("-", "_")


def main():
    table = json.loads((Path(__file__).parent.parent / "data/x86_64.json").read_text(encoding="utf-8"))
    names = {key_of(n): f["name"] for f in table["features"] for n in [f["name"], *f.get("aliases", [])]}
    version = subprocess.run(["qemu-system-x86_64", "--version"], check=True, capture_output=True,
                             text=True).stdout.split("version ")[1].split()[0]
    models = [m["name"] for m in ask([{"execute": "query-cpu-definitions"}])[0]["return"]]
    models = sorted(m for m in models if not m.startswith(SKIPPED))
    answers = ask([{"execute": "query-cpu-model-expansion", "arguments": {"type": "static", "model": {"name": m}}}
                   for m in models])
    sets = {}
    for model, answer in zip(models, answers):
        if "error" in answer:
            continue
        properties = answer["return"]["model"]["props"]
        features = {names[key_of(p)] for p, value in properties.items() if value is True and key_of(p) in names} - DISPUTED
        for start, disputed in DISPUTED_IN.items():
            if model.startswith(start):
                features -= disputed
        sets.setdefault(frozenset(features), []).append(model)
    rows = []
    for features, group in sorted(sets.items(), key=lambda item: item[1]):
        text = json.dumps({"names": group, "features": sorted(features)})
        rows.append("\n     ".join(textwrap.wrap(text, 114, break_long_words=False, break_on_hyphens=False)))
    sys.stdout.write('{\n  "schema": "cpulevel/cpu_models/1",\n  "architecture": "x86_64",\n'
                     f'  "source": "QEMU {version}, query-cpu-model-expansion of each model (tools/cpu_models_from_qemu.py)",\n'
                     '  "models": [\n    ' + ",\n    ".join(rows) + "\n  ]\n}\n")


if __name__ == "__main__":
    main()
