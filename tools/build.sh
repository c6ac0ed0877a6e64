#!/bin/sh
# tools/build.sh PRESET JOBS [TARGET...]: configures where needed, builds what changed.
set -eu
cd "$(dirname "$0")/.."
preset=$1 jobs=$2
shift 2
if [ ! -f "build/$preset/build.ninja" ]; then
    mkdir -p "build/$preset"
    cmake --preset "$preset" >"build/$preset/configure.log" 2>&1 || { cat "build/$preset/configure.log" >&2; exit 1; }
fi
if [ $# -gt 0 ]; then
    exec cmake --build --preset "$preset" -j "$jobs" --target "$@"
fi
exec cmake --build --preset "$preset" -j "$jobs"
