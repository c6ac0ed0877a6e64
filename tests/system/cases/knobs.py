"""`run --knobs`: what is started finds the level in environment variables too, on top of what the user has set."""

from harness import Context, test

SAY = "import os, sys; [print(f'{name}={os.environ.get(name, str())}') for name in sys.argv[1:]]"
NAMES = ("GLIBC_TUNABLES", "OPENSSL_ia32cap", "GODEBUG", "JAVA_TOOL_OPTIONS", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE",
         "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")


def variables(t: Context, options: tuple, env: dict[str, str], level: str | None = None) -> dict[str, str]:
    run = t.ok(t.levelled("/usr/bin/python3", "-c", SAY, *NAMES, options=options, env=env, level=level))
    return dict(line.split("=", 1) for line in run.out.splitlines())


@test
def a_program_sees_the_variables(t: Context) -> None:
    found = variables(t, ("--knobs",), {})
    for name in NAMES:
        t.check(found[name], f"{name} is not set")
    t.check("-AVX2" in found["GLIBC_TUNABLES"], found["GLIBC_TUNABLES"])
    t.check("cpu.avx2=off" in found["GODEBUG"], found["GODEBUG"])
    t.check("-XX:UseAVX=0" in found["JAVA_TOOL_OPTIONS"], found["JAVA_TOOL_OPTIONS"])


@test
def they_are_those_of_export(t: Context) -> None:
    script = t.ok(t.bare(t.cpulevel, "export", "-q", t.level, "--to", "env"))
    bare = t.ok(t.bare("/bin/sh", "-c", f"{script.out}\nexec /usr/bin/python3 -c \"$0\" \"$@\"", SAY, *NAMES))
    t.equal(variables(t, ("--knobs",), {}), dict(line.split("=", 1) for line in bare.out.splitlines()), "variables")


@test
def none_without_the_option(t: Context) -> None:
    t.equal(variables(t, (), {}), {name: "" for name in NAMES}, "variables")


@test
def the_user_s_own_stay(t: Context) -> None:
    own = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2:glibc.cpu.hwcaps=-SSE4_1", "OPENSSL_ia32cap": "~0x200000000000000:~0x20",
           "GODEBUG": "gctrace=1", "JAVA_TOOL_OPTIONS": "-Dmine=1", "NPY_DISABLE_CPU_FEATURES": "SSE42",
           "OPENBLAS_CORETYPE": "Core2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = variables(t, ("--knobs",), own)
    t.check(found["GLIBC_TUNABLES"].startswith("glibc.malloc.arena_max=2:glibc.cpu.hwcaps=-SSE4_1,-"), found["GLIBC_TUNABLES"])
    t.equal(found["GLIBC_TUNABLES"].count("glibc.cpu.hwcaps"), 1, "lists of hwcaps")
    first, second = (int(word.removeprefix("~"), 16) for word in found["OPENSSL_ia32cap"].split(":")[:2])
    t.check(found["OPENSSL_ia32cap"].startswith("~") and first >> 57 & 1 and first >> 60 & 1, f"AES or AVX: {first:#x}")
    t.check(second >> 5 & 1, "AVX2")
    t.check(found["GODEBUG"].startswith("gctrace=1,cpu."), found["GODEBUG"])
    t.check(found["JAVA_TOOL_OPTIONS"].startswith("-Dmine=1 "), found["JAVA_TOOL_OPTIONS"])
    t.check(found["NPY_DISABLE_CPU_FEATURES"].startswith("SSE42 "), found["NPY_DISABLE_CPU_FEATURES"])
    t.equal(found["OPENBLAS_CORETYPE"], "Core2", "a core type within the level")
    t.equal(found["ONEDNN_MAX_CPU_ISA"], "SSE41", "a ceiling above the level")


@test
def glibc_does_as_both_say(t: Context) -> None:
    """The effect: the loader takes neither what the level hides nor what the user hid."""
    loader = "/lib64/ld-linux-x86-64.so.2"
    run = t.levelled(loader, "--help", options=("--knobs",), env={"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-SSE4_2"})
    if "glibc-hwcaps" not in run.out:
        t.skip("this glibc has no folders of libraries for levels")
    t.check("(supported" not in "".join(line for line in run.out.splitlines(True) if "x86-64-v" in line), run.out)
    t.check("x86-64-v2 (supported" in t.ok(t.levelled(loader, "--help", options=("--knobs",))).out, "x86-64-v2 is not supported")


@test
def what_gives_way_is_told(t: Context) -> None:
    run = t.levelled("/bin/true", options=("--knobs",), env={"OPENBLAS_CORETYPE": "SkylakeX"})
    t.check("SkylakeX" in run.messages and "gives way" in run.messages, run.messages)
