#!/bin/sh
# tools/build.sh PRESET JOBS [TARGET...]: configures where needed, builds what changed.
set -eu
cd "$(dirname "$0")/.."
preset=$1 jobs=$2
shift 2
libraries=
if [ "$preset" = aarch64 ]; then
    # The libraries for arm64, kept beside the compiler's results, outside of the tree. Does nothing when they are there.
    folder=${XDG_CACHE_HOME:-$HOME/.cache}/cpulevel/arm64-libraries
    tools/arm64_libraries.sh "$folder"
    libraries="-DCPULEVEL_BPF=ON -DCPULEVEL_BPF_SYSROOT=$folder"
fi
if [ ! -f "build/$preset/build.ninja" ]; then
    mkdir -p "build/$preset"
    # shellcheck disable=SC2086
    cmake --preset "$preset" $libraries >"build/$preset/configure.log" 2>&1 || { cat "build/$preset/configure.log" >&2; exit 1; }
fi
if [ $# -gt 0 ]; then
    exec cmake --build --preset "$preset" -j "$jobs" --target "$@"
fi
exec cmake --build --preset "$preset" -j "$jobs"
