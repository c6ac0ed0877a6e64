#!/bin/sh
# The main job on real input: this machine, profiles of real CPUs, what they share, and real programs that see only that.
# tools/demo.sh [CPULEVEL]
set -eu
cd "$(dirname "$0")/.."
cpulevel=$(realpath "${1:-build/release/src/cli/cpulevel}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
if [ ! -t 1 ] || [ -n "${NO_COLOR:-}" ]; then title() { printf '\n== %s\n' "$*"; }; fi
show() { printf '$ %s\n' "$*"; }

title "1. This machine"
show "cpulevel scan -o here.json"
"$cpulevel" scan -o "$folder/here.json"

title "2. What it shares with three other machines, and what is lost to whom"
show "cpulevel baseline here.json westmere.json haswell.json zen2.json -o fleet.json"
"$cpulevel" baseline "$folder/here.json" data/profiles/westmere.json data/profiles/haswell.json data/profiles/zen2.json \
    --name fleet -o "$folder/fleet.json"

title "3. May a program levelled to that run everywhere?"
show "cpulevel compare fleet.json here.json westmere.json"
"$cpulevel" compare "$folder/fleet.json" "$folder/here.json" data/profiles/westmere.json || true

# beside TITLE COMMAND: the same command bare and levelled. What `cpulevel run` has to say is told once.
told=
beside() {
    title "$1"
    show "$2"
    sh -c "$2" >"$folder/bare" 2>/dev/null || true
    sed 's/^/    bare      /' "$folder/bare"
    "$cpulevel" run --level "$folder/fleet.json" -- sh -c "exec 2>/dev/null; $2" >"$folder/levelled" 2>"$folder/words" || {
        echo "cpulevel run ended with status $?:"
        cat "$folder/words"
        return 1
    }
    sed 's/^/    levelled  /' "$folder/levelled"
    if [ -z "$told" ] && [ -s "$folder/words" ]; then
        printf '\nwhat cpulevel run said:\n'
        fold -s -w 76 "$folder/words" | sed 's/^/    /'
        told=yes
    fi
}

loader=/lib64/ld-linux-x86-64.so.2
if [ -x "$loader" ]; then
    beside "4. The folders in which glibc looks for faster libraries" "$loader --help | grep 'x86-64-v'"
fi
if command -v openssl >/dev/null; then
    beside "5. What OpenSSL has found in the CPU" "openssl version -c"
fi
if command -v python3 >/dev/null && python3 -c 'import numpy' 2>/dev/null; then
    beside "6. What NumPy will use" \
        "python3 -c 'import numpy.core._multiarray_umath as m; print(*[k for k, v in m.__cpu_features__.items() if v])' | fold -s -w 76"
elif command -v python3 >/dev/null; then
    beside "6. What Python's programs find in the auxiliary vector" \
        "python3 -c 'import struct; print([hex(v) for k, v in struct.iter_unpack(\"QQ\", open(\"/proc/self/auxv\", \"rb\").read()) if k in (16, 26)])'"
fi
if command -v java >/dev/null; then
    beside "7. What the Java virtual machine will use" \
        "java -XX:+PrintFlagsFinal -version | grep -E ' (UseAVX|UseSHA|UseAES) ' | tr -s ' '"
fi
cat <<END

Where the machine has no CPUID faulting (see 1.), a program whose CPUID instruction is made at run time, as the Java
virtual machine's is, still sees the real CPU.
END
title "Now: cpulevel scan -o \$(hostname).json on your machines, cpulevel baseline nodes/ -o fleet.json, cpulevel run"
