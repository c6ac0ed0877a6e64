#!/bin/sh
# Every test in every build that finds something of its own. tools/test.sh JOBS
#   release   unit and system tests, on the executable as it is shipped
#   asan      the same under AddressSanitizer and UndefinedBehaviorSanitizer, but for what other tools and real programs do
#   tsan      the system tests under ThreadSanitizer, but for what has one thread: the commands and the report
#   fuzz      each fuzz target for 10 seconds
# The last line is the count over all of them: "N passed, N failed, N skipped". A skipped test says why.
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=$1
results=build/test-results
rm -rf "$results"
mkdir -p "$results"

say() { printf '\n== %s (%s s)\n' "$1" "$(($(date +%s) - started))"; }
started=$(date +%s)

# A build that fails is one failed test, and the others are still run.
broken() {
    echo "$1: the build failed"
    echo "$1: build" >>"$results/broken"
}

run_ctest() {
    preset=$1
    shift
    say "$preset: build"
    targets=
    # The supervisor is what ThreadSanitizer is for, and the system tests are what drives it.
    [ "$preset" != tsan ] || targets='cpulevel victims proofs'
    [ "$preset" != fuzz ] || targets=$(sed -n 's/^cpulevel_fuzz(\([a-z_0-9]*\) .*/fuzz_\1/p' tests/fuzz/CMakeLists.txt)
    # shellcheck disable=SC2086
    tools/build.sh "$preset" "$jobs" $targets || { broken "$preset"; return; }
    say "$preset: tests"
    ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure --progress --timeout 300 --no-tests=error "$@" \
        --test-output-size-passed 4000000 --test-output-size-failed 4000000 \
        --output-junit "$PWD/$results/$preset.xml" >"$results/$preset.log" 2>&1 || grep -v -E '^ *[0-9]+/[0-9]+ ' "$results/$preset.log"
    [ -f "$results/$preset.xml" ] || { tail -n 30 "$results/$preset.log"; broken "$preset"; }
    python3 tools/count_tests.py "$results/$preset.xml"
}

# For the machines of the lab, whose tests are in the release build.
say "aarch64: build"
tools/build.sh aarch64 "$jobs" || broken aarch64

run_ctest release
# What other tools make of our exports does not depend on how we were built. Nor does what real programs do under a level, or
# every command with every format: they take long there, and what they ask of us the victims, unit tests and fuzz targets ask too.
real='^(system\.(real_programs|real_work|torture)|cli_foreign)$'
run_ctest asan -LE export -E "$real"
run_ctest tsan -L system -E "$real|^(cli|cli_fleet|report)\$"

run_ctest fuzz -L fuzz

say "all"
python3 tools/count_tests.py --total "$results"
