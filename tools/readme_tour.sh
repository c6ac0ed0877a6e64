#!/bin/sh
# Writes the tour of README.md anew, with what the commands print now. tools/readme_tour.sh [CPULEVEL]
set -eu
cd "$(dirname "$0")/.."
program=$(realpath "${1:-build/release/src/cli/cpulevel}")
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin"
ln -s "$program" "$folder/bin/cpulevel"
cp data/profiles/haswell.json data/profiles/zen2.json data/profiles/skylake-x.json "$folder"
PATH=$folder/bin:$PATH
export PATH NO_COLOR=1 COLUMNS=80

step() {  # WORDS COMMAND
    printf '%s\n\n```\n$ %s\n' "$1" "$2"
    (cd "$folder" && sh -c "$2" 2>&1) || true
    printf '```\n\n'
}

{
    step "**What three machines have in common**, and what that costs whom:" \
        "cpulevel baseline haswell.json zen2.json skylake-x.json --name fleet -o fleet.json"
    step "**May a program that runs under it move?** And one that does not?" \
        "cpulevel compare fleet.json zen2.json skylake-x.json; cpulevel compare skylake-x.json zen2.json"
    step "**A program run bare, and under a level.** OpenSSL says what it found in the CPU:" \
        "openssl version -c; cpulevel run --level x86-64-v2 -- openssl version -c"
    step "glibc's loader chooses among libraries by CPU:" \
        "for r in '' 'cpulevel run --level x86-64-v2 --'; do \$r /lib64/ld-linux-x86-64.so.2 --help | grep x86-64-v; echo; done"
} >"$folder/tour"

python3 - "$folder/tour" "$root/README.md" <<'END'
import sys
tour, readme = (open(path).read() for path in sys.argv[1:3])
before, rest = readme.split("<!-- tour -->\n", 1)
after = rest.split("<!-- /tour -->", 1)[1]
open(sys.argv[2], "w").write(before + "<!-- tour -->\n" + tour + "<!-- /tour -->" + after)
END
