# The model's features are found, and named as the level that everybody calls the model by.
# machines: x86_64 aarch64
# programs: src/cli/cpulevel
cpulevel scan --json >scan.json || failed scan "exit status $?"
bring scan.json scan.json
cpulevel scan >scan.txt
cat scan.txt
case $MACHINE in
    nehalem) level=x86-64-v2 ;;
    haswell | x86-max) level=x86-64-v3 ;;
    cortex-a72) level=armv8.0-a ;;
    neoverse-n1) level=armv8.2-a ;;
    arm-max) level=armv8.3-a ;;  # QEMU 7.2 has no USCAT (armv8.4)
    *) level= ;;
esac
[ -z "$level" ] || succeeds "level_is_$level" grep -qw "$level" scan.txt
