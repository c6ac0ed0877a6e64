"""Real work gives the same result levelled as bare."""

import hashlib
import random

from harness import Context, test


def some_data(t: Context, size: int) -> str:
    path = t.scratch / "data"
    path.write_bytes(random.Random(42).randbytes(size))
    return str(path)


@test
def checksums(t: Context) -> None:
    data = some_data(t, 8_000_000)
    expected = hashlib.sha256(open(data, "rb").read()).hexdigest()
    bare, levelled = t.same_both_ways("/bin/sh", "-c", f"cd {t.scratch}; sha256sum data; md5sum data; cksum data; b2sum data; wc data")
    t.check(expected in levelled.out, str(levelled))
    for algorithm in ("sha256", "sha512", "sha3-256", "blake2b512"):
        t.same_both_ways(t.tool("openssl"), "dgst", f"-{algorithm}", data)


@test
def encryption(t: Context) -> None:
    """OpenSSL takes other code for AES at another level; the result is the same."""
    openssl = t.tool("openssl")
    data = some_data(t, 2_000_000)
    for cipher in ("aes-256-cbc", "aes-128-ctr", "chacha20"):
        t.same_both_ways("/bin/sh", "-c", f"{openssl} enc -{cipher} -K {'ab' * (16 if '128' in cipher else 32)}"
                                          f" -iv {'cd' * 16} -in {data} | sha256sum")


@test
def compression(t: Context) -> None:
    data = some_data(t, 500_000)
    for tool in ("gzip", "bzip2", "xz"):
        t.same_both_ways("/bin/sh", "-c", f"cat {data} /bin/sh | {t.tool(tool)} -c | tee {t.scratch}/packed | sha256sum;"
                                          f" {tool} -dc < {t.scratch}/packed | sha256sum")


@test
def compile_and_run(t: Context) -> None:
    """gcc makes the same object, and the program that it makes works."""
    gcc = t.tool("gcc")
    (t.scratch / "work.c").write_text("""
#include <math.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    double sum = 0;
    char text[4096];
    for (int i = 1; i < 100000; ++i) sum += sin(i) * exp(-i / 1e4) + pow(i, 0.3) + log(i);
    memset(text, 'x', sizeof text);
    text[4000] = 0;
    printf("%.12g %zu\\n", sum, strlen(text));
    return 0;
}
""")
    build = f"cd {t.scratch} && {gcc} -O2 -ffile-prefix-map={t.scratch}=. -c work.c -o $1.o && sha256sum < $1.o && " \
            f"{gcc} -o $1 $1.o -lm && ./$1"
    t.ok(t.same_both_ways("/bin/sh", "-c", build, "sh", "same-name")[1])


@test
def sort_and_search(t: Context) -> None:
    data = some_data(t, 300_000)
    t.ok(t.same_both_ways("/bin/sh", "-c", f"od -An -tx1 -v {data} | sort -S 10M | uniq -c | sort -k2 | sha256sum;"
                                           f" od -An -tx1 -v {data} | grep -c 'ff 00'; od {data} | sed s/1/2/g | awk "
                                           "'{s+=$2} END {print s}'")[1])


@test
def python_work(t: Context) -> None:
    """Floating point is rounded: libm's variants with and without FMA differ in the last bit, as between machines."""
    code = ("import hashlib, zlib, json, math, struct, threading, subprocess, re, decimal\n"
            "d = bytes(range(256)) * 4000\n"
            "print(hashlib.sha256(d).hexdigest(), zlib.crc32(d), zlib.adler32(d), len(zlib.compress(d)))\n"
            "print(round(sum(math.sin(i) for i in range(100000)), 6), decimal.Decimal(2).sqrt())\n"
            "t = [threading.Thread(target=lambda: None) for _ in range(50)]\n"
            "[x.start() for x in t]; [x.join() for x in t]\n"
            "print(subprocess.run(['/bin/echo', 'child'], capture_output=True).stdout)\n"
            "import multiprocessing as m\n"
            "if __name__ == '__main__':\n"
            "  with m.get_context('fork').Pool(3) as p: print(p.map(math.factorial, range(20)))\n")
    t.ok(t.same_both_ways("/usr/bin/python3", "-c", code)[1])


@test(timeout=120)
def make_project(t: Context) -> None:
    """make -j of a small project, and its test."""
    make = t.tool("make")
    t.tool("gcc")
    for folder in ("bare", "levelled"):
        (t.scratch / folder).mkdir()
        names = [f"part{i}" for i in range(8)]
        for i, name in enumerate(names):
            (t.scratch / folder / f"{name}.c").write_text(f"int {name}(int x) {{ return x * {i + 3} + {i}; }}\n")
        (t.scratch / folder / "main.c").write_text(
            "#include <stdio.h>\n" + "".join(f"int {name}(int);\n" for name in names) +
            f"int main(void) {{ return printf(\"%d\\n\", {' + '.join(f'{name}(7)' for name in names)}) < 0; }}\n")
        (t.scratch / folder / "Makefile").write_text(
            f"OBJECTS = main.o {' '.join(f'{name}.o' for name in names)}\n"
            "check: program\n\t./program | sha256sum\nprogram: $(OBJECTS)\n\t$(CC) -o $@ $^\n")
    bare = t.bare(make, "-s", "-j2", "check", cwd=t.scratch / "bare")
    levelled = t.levelled(make, "-s", "-j2", "check", cwd=t.scratch / "levelled", timeout=100)
    t.ok(levelled)
    t.equal(levelled.out, bare.out, "output")
