# What is let go reads the real CPU in code that no file has, what is taken up does not any more; and the supervisor's death.
# machines: faulting
# programs: src/cli/cpulevel tests/lab/programs/made_code
# host-programs: /lib64/ld-linux-x86-64.so.2 /usr/bin/openssl
# time: 240
bare=$(made_code)
levelled=$(cpulevel run --level x86-64-v2 -- made_code)
differ differs "$bare" "$levelled"
mkfifo said
start() {  # COMMAND...: what it says is read from descriptor 3, the first line is $pid
    "$@" >said 2>errors &
    exec 3<said
    read -r pid <&3
}
next() {  # NAME EXPECTED: the next line that it says; the end is the empty line
    line=
    read -r line <&3
    equal "$1" "$2" "$line"
}
supervisor_of() { cpulevel status "$1" --json | tr -d ' \n' | grep -o '"supervisor":[0-9]*' | cut -d: -f2; }
state_of() { cpulevel status "$1" --json | tr -d '\n' | sed 's/.*"engine"//' | grep -o '"state": *"[^"]*"' | cut -d'"' -f4 | tail -n 1; }
tracer_of() { sed -n 's/^TracerPid:.//p' "/proc/$1/status"; }

start cpulevel run --level x86-64-v2 -- made_code loop
next at_first "$levelled"
cpulevel status "$pid"
equal coverage "full full full full" "$(cpulevel status "$pid" | sed -n '/^  covered/,$s/^  \(full\|partial\) .*/\1/p' | tr '\n' ' ' | sed 's/ $//')"
for round in 1 2 3; do
    succeeds release$round cpulevel release "$pid"
    next released$round "$bare"
    equal nobody_traces$round 0 "$(tracer_of "$pid")"
    succeeds adopt$round cpulevel adopt "$pid"
    next adopted$round "$levelled"
done
succeeds release_stopped cpulevel release --leave-stopped "$pid"
equal state_stopped "released, stopped" "$(state_of "$pid")"
succeeds adopt_stopped cpulevel adopt "$pid"
kill -TERM "$pid"
# Stopped before any instruction of it ran, it has seen nothing of the real CPU.
next no_other_answer ""
wait $!
equal ends_as_its_program 143 $?

# A stranger, taken up while it runs: CPUID faulting is armed in a thread that is anywhere.
start made_code loop
next stranger "$bare"
succeeds stranger_adopted cpulevel adopt --level x86-64-v2 "$pid"
next stranger_levelled "$levelled"
succeeds stranger_released cpulevel release "$pid"
next stranger_bare "$bare"
succeeds stranger_other_level cpulevel adopt --level x86-64-v3 "$pid"
read -r line <&3
differ stranger_other_level_shown "$levelled" "$line"
kill -TERM "$pid"
wait $!

# The supervisor dies. By default nothing goes on unlevelled.
start cpulevel run --level x86-64-v2 -- made_code loop
next before_death "$levelled"
kill -KILL "$(supervisor_of "$pid")"
next killed_with_it ""
wait $!
equal killed_status 137 $?
# Or it goes on: what answers from memory, and what would have been answered by the supervisor ends its program.
start cpulevel run --level x86-64-v2 --on-supervisor-death continue -- made_code loop
next before_death_continue "$levelled"
kill -KILL "$(supervisor_of "$pid")"
next ends_at_its_next_cpuid ""
wait $!
equal status_of_that 139 $?
start cpulevel run --level x86-64-v2 --on-supervisor-death continue -- made_code own_loop
next before_death_in_memory "$levelled"
kill -KILL "$(supervisor_of "$pid")"
while [ "$(tracer_of "$pid")" != 0 ]; do usleep 10000; done
kill -USR1 "$pid"
next memory_goes_on "$levelled"
kill -TERM "$pid"
wait $!
equal memory_status 143 $?
