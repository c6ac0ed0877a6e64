# One stop of the journeys: what /travel/orders says is done here, on a real or an emulated machine alike, by any POSIX shell.
#     depart NAME LEVEL PROGRAM...   start PROGRAM under LEVEL ("-": unlevelled), and dump it when it works
#     pass NAME                      restore it, see it work here, and dump it again
#     arrive NAME SECONDS            restore it, and see how it ends
# A fact for each: "departed NAME", "passed NAME", "arrived NAME exit 0 | signal N | refused N | late"; "failed NAME WHY" where
# a step did not do what it should. Each traveller has the folder /travel/work/NAME; its checkpoint is in images/.
# shellcheck shell=sh
# shellcheck source=tests/travel/steps.sh
. /travel/steps.sh

fail() {  # NAME WHY...
    fail_name=$1
    shift
    echo "failed $fail_name $*"
    for log in "/travel/work/$fail_name"/images/*.log "/travel/work/$fail_name"/output "/travel/work/$fail_name"/start.err; do
        [ ! -s "$log" ] || tail -n 6 "$log" | sed "s|^|    ${log##*/}: |"
    done
}

is_without_tracer() { grep -q '^TracerPid:.0$' "/proc/$pid/status" 2>/dev/null; }

dump() {
    rm -rf "$folder/images"
    mkdir "$folder/images"
    timeout 60 criu dump -t "$pid" -D "$folder/images" -o dump.log -v2 >/dev/null 2>&1
}

# Without --cpu-cap=none CRIU refuses every process that used XSAVE where there is none, whatever it was shown.
restore="criu restore -d --cpu-cap=none --manage-cgroups=ignore -o restore.log -v2"

depart() {  # LEVEL PROGRAM...
    level=$1
    shift
    mkdir -p "$folder"
    # No pid of a stage is one that a restore needs: each traveller comes from a stretch of its own.
    echo "$((next_pid))" >/proc/sys/kernel/ns_last_pid
    if [ "$level" = - ]; then
        launch "$folder" "$@" 2>"$folder/start.err" &
    else
        cpulevel run --level "$level" --on-supervisor-death continue -- launch "$folder" "$@" 2>"$folder/start.err" &
    fi
    until_done 60 is_working || { fail "$name" "does not work before any move"; return; }
    pid=$(cat "$folder/pid")
    tracer=$(sed -n 's/^TracerPid:.//p' "/proc/$pid/status")
    if [ "$level" != - ]; then
        [ "$tracer" != 0 ] || { fail "$name" "is not supervised"; return; }
        # Nobody is attached from here on: what was levelled answers from its own memory, wherever it goes.
        kill -9 "$tracer"
        until_done 10 is_without_tracer || { fail "$name" "is still traced"; return; }
    fi
    if dump; then echo "departed $name"; else fail "$name" "could not be dumped"; fi
}

pass() {
    rm -f "$folder/arrived" "$folder/restored"
    : >"$folder/report"
    # shellcheck disable=SC2086
    if ! timeout 60 $restore -D "$folder/images" --pidfile "$folder/restored" >/dev/null 2>&1; then
        fail "$name" "could not be restored"
        return
    fi
    pid=$(cat "$folder/restored")
    until_done 30 has_reported || { fail "$name" "does not work any more"; return; }
    if dump; then echo "passed $name"; else fail "$name" "could not be dumped again"; fi
}

arrive() {  # SECONDS
    rm -f "$folder/arrived" "$folder/restored"
    # To a file: a pipe would be open for as long as anything lives that was restored half-way.
    # shellcheck disable=SC2086
    guardian "$1" "$folder/restored" "$folder/arrived" $restore -D "$folder/images" --pidfile "$folder/restored" >"$folder/became" 2>&1
    became=$(tail -n 1 "$folder/became")
    echo "arrived $name $became; $(tail -n 1 "$folder/output" | cut -c 1-100)"
    case $became in
        "exit 0") ;;
        *)
            grep -E 'Error|Warn|check' "$folder/images/restore.log" 2>/dev/null | head -n 6 | sed "s|^|    restore.log: |"
            case $became in *late) tail -n 4 "$folder/images/restore.log" | sed "s|^|    restore.log ends: |" ;; esac ;;
    esac
}

mkdir -p /travel/work
next_pid=$(cat /travel/first_pid)
while read -r verb name words; do
    folder=/travel/work/$name
    next_pid=$((next_pid + 40))
    # shellcheck disable=SC2086
    $verb $words
done </travel/orders
