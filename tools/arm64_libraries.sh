#!/bin/sh
# Unpacks the arm64 libraries that cpulevel is linked with (libbpf, libelf, zlib, expat) below a folder, for a cross build; installs nothing:
#     tools/arm64_libraries.sh build/arm64-libraries
#     cmake --preset aarch64 -DCPULEVEL_BPF=ON -DCPULEVEL_BPF_SYSROOT=$PWD/build/arm64-libraries
# apt is asked with lists of its own, so this machine's architectures and lists stay as they are.
set -eu
folder=${1:?usage: arm64_libraries.sh FOLDER}
mkdir -p "$folder"
[ ! -e "$folder/usr/lib/aarch64-linux-gnu/libexpat.a" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
: >"$work/status"
apt_arm64() {
    apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists="$work/lists" \
        -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@"
}
if ! { apt_arm64 update && cd "$work/packages" && apt_arm64 download libbpf-dev libelf-dev libexpat1-dev zlib1g-dev; } >"$work/log" 2>&1; then
    tail -n 5 "$work/log" >&2
    echo "arm64_libraries: apt cannot download libbpf-dev, libelf-dev, libexpat1-dev and zlib1g-dev for arm64 (its last lines are above)" >&2
    exit 1
fi
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$folder"; done
