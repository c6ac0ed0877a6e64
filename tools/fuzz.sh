#!/bin/sh
# tools/fuzz.sh BUILD SECONDS: runs every fuzz target for so long, from its seeds. One line per target; the last is a count.
set -eu
cd "$(dirname "$0")/.."
build=$1 seconds=$2
passed=0 failed=0
for target in $(find "$build/tests/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort); do
    name=$(basename "$target")
    found=$build/found/$name
    mkdir -p "$found"
    seeds=tests/fuzz/seeds/${name#fuzz_}
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/" \
        "$found" $seeds >"$found.log" 2>&1; then
        passed=$((passed + 1))
        echo "fuzz $name: $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs, nothing found/p' "$found.log")"
    else
        failed=$((failed + 1))
        echo "fuzz $name: FAILED; the input is in $found/, the log:"
        tail -n 30 "$found.log"
    fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" = 0 ]
