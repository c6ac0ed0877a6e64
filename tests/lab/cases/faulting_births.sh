# CPUID faulting is kept over fork and clone and reset by exec: each new thread, process and program sees the level nevertheless.
# machines: faulting
# programs: src/cli/cpulevel tests/system/victims/spawn tests/system/victims/storm tests/system/victims/self_made_code
# programs: tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 180
bare=$(made_code)
levelled=$(cpulevel run --level x86-64-v2 -- made_code)
differ made_differs "$bare" "$levelled"
# Once for all: each start of a supervisor takes seconds here. clone_untraced hides from every tracer.
roads=$(spawn list | grep -vx clone_untraced)
# shellcheck disable=SC2016
cpulevel run --level x86-64-v2 -- sh -c '
    for road in $0; do
        echo "$road $(spawn "$road" /lab/bin/made_code)"
    done
    for how in thread fork vfork; do
        echo "in_$how $(made_code "$how" | uniq | tr "\n" " ")"
    done
    echo "grandchild $(sh -c "sh -c \"made_code; true\"; true")"
    printf "#!/bin/sh\nmade_code\n" >script
    chmod +x script
    echo "script $(./script)"
    for what in "threads 60" "forks 20" "execs 10"; do
        storm $what >/dev/null
        echo "storm_${what%% *} status $?"
    done' "$roads" >said
while read -r name answer; do
    case $name in
        storm_*) equal "$name" "status 0" "$answer" ;;
        *) equal "$name" "$levelled" "${answer% }" ;;
    esac
done <said
equal all_were_there $(($(echo "$roads" | wc -l) + 8)) "$(wc -l <said)"
