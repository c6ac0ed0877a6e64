# CPUID faulting is kept over fork and clone and reset by exec: each new thread, process and program sees the level nevertheless.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/spawn tests/system/victims/storm tests/system/victims/self_made_code
# programs: tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 240
level() { cpulevel run --level x86-64-v2 -- "$@"; }
bare=$(made_code)
levelled=$(level made_code)
echo "bare $bare"
echo "levelled $levelled"
differ made_differs "$bare" "$levelled"
for road in $(spawn list); do
    [ "$road" != clone_untraced ] || continue  # it hides from every tracer
    equal "$road" "$levelled" "$(level spawn "$road" /lab/bin/made_code)"
done
for how in thread fork vfork; do
    equal "in_$how" "$(echo "$levelled" | sed p)" "$(level made_code $how)"
done
equal grandchild "$levelled" "$(level sh -c 'sh -c "made_code; true"; true')"
equal through_a_script "$levelled" "$(level sh -c 'printf "#!/bin/sh\nmade_code\n" >script; chmod +x script; ./script')"
succeeds storm_threads level storm threads 60
succeeds storm_forks level storm forks 30
succeeds storm_execs level storm execs 15
succeeds storm_traps cpulevel run --trap-only --level x86-64-v2 -- storm threads 30
