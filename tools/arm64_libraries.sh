#!/bin/sh
# Unpacks the arm64 libraries that the BPF engine is linked with below a folder, for a cross build; installs nothing:
#     tools/arm64_libraries.sh build/arm64-libraries
#     cmake --preset aarch64 -DCPULEVEL_BPF=ON -DCPULEVEL_BPF_SYSROOT=$PWD/build/arm64-libraries
# apt must know the architecture (dpkg --add-architecture arm64; apt-get update).
set -eu
folder=${1:?usage: arm64_libraries.sh FOLDER}
mkdir -p "$folder"
[ ! -e "$folder/usr/lib/aarch64-linux-gnu/libbpf.a" ] || exit 0
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT
if ! (cd "$downloads" && apt-get -q download libbpf-dev:arm64 libelf-dev:arm64 zlib1g-dev:arm64) >"$downloads/log" 2>&1; then
    tail -n 5 "$downloads/log" >&2
    echo "arm64_libraries: apt cannot download them; does it know arm64? dpkg --add-architecture arm64 && apt-get update" >&2
    exit 1
fi
for package in "$downloads"/*.deb; do dpkg -x "$package" "$folder"; done
