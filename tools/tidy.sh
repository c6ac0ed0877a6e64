#!/bin/sh
# clang-tidy over every source of src/, with the flags of the debug build. tools/tidy.sh JOBS [FILE...]
set -eu
cd "$(dirname "$0")/.."
jobs=$1
shift
tools/build.sh debug "$jobs" cpulevel  # generated tables must exist
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046
    set -- $(git ls-files 'src/*.cpp')
fi
printf '%s\n' "$@" | xargs -P "$jobs" -n 4 clang-tidy-19 --quiet -p build/debug 2>/dev/null
echo "clang-tidy: $# files, no finding"
