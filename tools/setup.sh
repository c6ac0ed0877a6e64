#!/bin/sh
# Installs the Debian packages that the named groups need: tools/setup.sh build test
# Does nothing, and needs no right and no network, when they are all there.
set -eu

# The compiler, the build, and the libraries that we link (docs/decisions/001-foundations.md).
build='ca-certificates ccache clang-19 cmake g++ libbenchmark-dev libbpf-dev libcapstone-dev libcli11-dev libelf-dev
  libexpat1-dev libfmt-dev libgmock-dev libgtest-dev make ninja-build nlohmann-json3-dev python3 scdoc zlib1g-dev'
# What `make demo` runs bare and levelled.
demo='openssl python3'
# Real programs that the system tests run, compilers for the victims, clang for the fuzz targets. Not gcc-multilib: it
# conflicts with the cross compilers of the lab; gcc-12-multilib does not.
# The libraries, libvirt, rr and xmllint are what exports are held against; Chromium is what reports are opened in; the kernel's
# headers of other architectures (arm64's come with the lab's compilers) are what our data is held against.
test='bubblewrap chromium chromium-driver clang-19 cpuid default-jre-headless file gcc-12-multilib gdb git golang-go
  libclang-rt-19-dev libdnnl2 libopenblas0-pthread libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libxml2-utils
  linux-libc-dev-ppc64el-cross linux-libc-dev-riscv64-cross
  musl-tools nodejs openssl poppler-utils procps python3-jsonschema python3-numpy python3-selenium python3-yaml rr rustc
  strace util-linux'
# Cross compilers for arm64 (and its 32-bit programs), and the emulators.
lab='g++-aarch64-linux-gnu gcc-arm-linux-gnueabihf libc6-dev-armhf-cross mmdebstrap qemu-system-arm qemu-system-x86'
bench='openssl proot qemu-user strace'
lint='clang-format-19 clang-tidy-19 shellcheck'

wanted=
for group in "$@"; do
    case $group in
        build) wanted="$wanted $build" ;;
        demo) wanted="$wanted $demo" ;;
        test) wanted="$wanted $test" ;;
        lab) wanted="$wanted $lab" ;;
        bench) wanted="$wanted $bench" ;;
        lint) wanted="$wanted $lint" ;;
        *) echo "setup: unknown group '$group' (build, demo, test, lab, bench, lint)" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system, so nothing was installed. Needed, by their Debian names:" >&2
    echo "$wanted" | fmt -w 100 >&2
    exit 0
fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: these packages are missing, and there is neither root nor sudo to install them:" >&2
        echo " $missing" | fmt -w 100 >&2
        echo "setup: ask the administrator for: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

echo "setup: installing$missing"
# Another apt on the machine is waited for, not failed at.
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if { apt update && apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    exit 0
fi
tail -n 20 "$log" >&2
echo "setup: apt-get could not install:$missing (its last lines are above)" >&2
exit 1
