#!/bin/sh
# Makes a Debian 13 system with CRIU in a folder, and prints the folder's path: tools/criu_root.sh [ARCHITECTURE [criu|engines]]
# ARCHITECTURE is Debian's word. Of another one than this machine's the packages are only unpacked: nothing can be run in it here.
# `engines` is a copy of `criu` with podman and runc; not for other architectures.
# Debian 12's criu (3.17.1) cannot dump on newer kernels (the layout of their vdso), Debian 13's can. Nothing is installed on
# this machine; the folder is kept in $XDG_CACHE_HOME/cpulevel. Needs root, mmdebstrap, and Debian's archive.
set -eu
here=$(dpkg --print-architecture)
architecture=${1:-$here}
kind=${2:-criu}
if [ "$architecture" = "$here" ]; then name=debian13-$kind variant=minbase; else name=debian13-$kind-$architecture variant=extract; fi
folder=${XDG_CACHE_HOME:-$HOME/.cache}/cpulevel/$name
base=
case $kind in
    criu) packages=criu,iptables,libzstd1,openssl,procps,python3-minimal,libpython3-stdlib ;;
    engines)
        [ "$architecture" = "$here" ] || { echo "criu_root: engines are only for $here here" >&2; exit 2; }
        packages=conmon,podman,runc
        base=$("$0" "$architecture" criu) ;;
    *) echo "criu_root: unknown kind '$kind' (criu, engines)" >&2; exit 2 ;;
esac
# A root made for other packages, or from a root of other packages, is another root.
wanted="$(cat ${base:+"$base/.packages"} </dev/null) $packages"
is_there() { [ "$(cat "$folder/.packages" 2>/dev/null || true)" = "${wanted# }" ]; }
if is_there; then
    echo "$folder"
    exit 0
fi
command -v mmdebstrap >/dev/null || { echo "criu_root: mmdebstrap is not installed (Debian: mmdebstrap)" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "criu_root: only root can make the Debian 13 system that has CRIU" >&2; exit 1; }

from_archive() {
    # The archive that this machine has its own packages from; $(SITE) is apt's to expand.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m 1 '/debian/*$' || true)
    mmdebstrap --variant="$variant" --architectures="$architecture" --include="$packages" --aptopt='Acquire::Retries "3"' \
        trixie "$partial" "${mirror:-http://deb.debian.org/debian}"
}

# What both have is neither downloaded nor configured twice.
from_base() {
    cp -a "$base/." "$partial"
    inside() { env DEBIAN_FRONTEND=noninteractive chroot "$partial" apt-get -q -o Acquire::Retries=3 -o Acquire::Languages=none "$@"; }
    # shellcheck disable=SC2046
    inside update && inside install -y --no-install-recommends $(echo "$packages" | tr , ' ') && inside clean &&
        rm -rf "$partial"/var/lib/apt/lists/*
}

mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if ! is_there; then
    partial=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    chmod 755 "$partial"
    if [ -n "$base" ]; then make=from_base; else make=from_archive; fi
    if ! "$make" >"$folder.log" 2>&1; then
        tail -n 5 "$folder.log" >&2
        echo "criu_root: a Debian 13 system with $packages could not be made (the last lines of what was said are above)" >&2
        exit 1
    fi
    echo "${wanted# }" >"$partial/.packages"
    mkdir -p "$partial/travel"
    rm -rf "$folder"
    mv "$partial" "$folder"
    trap - EXIT
fi
echo "$folder"
