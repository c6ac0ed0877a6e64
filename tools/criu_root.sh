#!/bin/sh
# Makes a Debian 13 system with CRIU in a folder, and prints the folder's path: tools/criu_root.sh [ARCHITECTURE [FOLDER]]
# ARCHITECTURE is Debian's word. Of another one than this machine's the packages are only unpacked: nothing can be run in it here.
# Debian 12's criu (3.17.1) cannot dump on newer kernels (the layout of their vdso), Debian 13's can. Nothing is installed on
# this machine; the folder is kept, by default in $XDG_CACHE_HOME/cpulevel. Needs root, mmdebstrap, and Debian's archive.
set -eu
here=$(dpkg --print-architecture)
architecture=${1:-$here}
if [ "$architecture" = "$here" ]; then name=debian13-criu variant=minbase; else name=debian13-criu-$architecture variant=extract; fi
folder=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/cpulevel/$name}
# A root made for other packages is another root.
packages=criu,iptables,libzstd1,openssl,procps,python3-minimal,libpython3-stdlib
if [ "$(cat "$folder/.packages" 2>/dev/null || true)" = "$packages" ]; then
    echo "$folder"
    exit 0
fi
command -v mmdebstrap >/dev/null || { echo "criu_root: mmdebstrap is not installed (Debian: mmdebstrap)" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "criu_root: only root can make the Debian 13 system that has CRIU" >&2; exit 1; }
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if [ "$(cat "$folder/.packages" 2>/dev/null || true)" != "$packages" ]; then
    partial=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    chmod 755 "$partial"
    # The archive that this machine has its own packages from; $(SITE) is apt's to expand.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m 1 '/debian/*$' || true)
    if ! mmdebstrap --variant="$variant" --architectures="$architecture" --include="$packages" --aptopt='Acquire::Retries "3"' trixie "$partial" \
        "${mirror:-http://deb.debian.org/debian}" >"$folder.log" 2>&1; then
        tail -n 5 "$folder.log" >&2
        echo "criu_root: mmdebstrap could not make a Debian 13 system (its last lines are above)" >&2
        exit 1
    fi
    echo "$packages" >"$partial/.packages"
    mkdir -p "$partial/travel"
    rm -rf "$folder"
    mv "$partial" "$folder"
    trap - EXIT
fi
echo "$folder"
