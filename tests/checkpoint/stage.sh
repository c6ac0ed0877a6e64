# What is done at one place, on a real or an emulated machine alike, with CRIU and cpulevel (tests/travel/cases.sh has what a case is).
# shellcheck shell=sh disable=SC2015,SC2086,SC2154
# shellcheck source=tests/travel/cases.sh
. /travel/cases.sh
SCRIPT=/travel/bin/cpulevel
# shellcheck source=tests/checkpoint/stage_options.sh
. /travel/bin/stage_options.sh

end() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    [ -z "$front" ] || { kill -9 "$front" 2>/dev/null; wait "$front" 2>/dev/null; }
    pid='' front=''
}

start() {
    mkdir -p "$folder"
    rm -f "$folder/arrived"
    # Each in a stretch of pids of its own: a restore needs those that were.
    echo "$next_pid" >/proc/sys/kernel/ns_last_pid
    if [ "$1" = inside ]; then
        detached "$folder" $SCRIPT run --level "$level" -- /travel/bin/$program 2>"$folder/said" &
    else
        cpulevel run --level "$level" -- detached "$folder" /travel/bin/$program 2>"$folder/said" &
    fi
    front=$!
    until_done 60 is_working || { fail "it does not start"; return; }
    pid=$(supervised_child "$front")
    [ -n "$pid" ] || fail "it is not supervised"
}

# Its processes have ended, as `cpulevel run` does then: killed.
has_left() {
    wait "$front"
    status=$?
    [ "$status" = 137 ] || { fail "cpulevel run ended with $status"; return; }
    front='' gone=$pid pid=''
    [ ! -d "/proc/$gone" ] || fail "it is still there"
}

comes_back() {
    gives 0 cpulevel restore "$folder/images" "$@" || return
    says "every thread is supervised" || return
    pid=$gone
    levelled "after the restore"
}

there_and_back() {
    start && gives 0 cpulevel dump "$pid" --images "$folder/images" --to "$level" && has_left && comes_back && goes_on "after the restore"
}

# A child that nobody has waited for: there is nothing in it to move but its status.
zombie() {
    start && gives 0 cpulevel dump "$pid" --images "$folder/images" --to "$level" && says "Dumped: 1 process with 1 thread" && has_left &&
        gives 0 cpulevel audit "$folder/images" --to "$level" && comes_back && goes_on "after the restore"
}

# In a pid namespace of its own, whose first process is `cpulevel restore`: it stays until all of the tree has ended, and ends as its root.
namespace() {
    start && gives 0 cpulevel dump "$pid" --images "$folder/images" && has_left || return
    unshare -p -f --mount-proc $SCRIPT restore "$folder/images" >"$folder/said" 2>&1 &
    front=$!
    until_done 60 grep -q "^Restored" "$folder/said" && says "every thread is supervised" || { fail "it is not restored"; return; }
    : >"$data/report"
    until_done 30 has_reported || { fail "it does not work"; return; }
    goes_on "in its namespace" || return
    wait "$front"
    status=$?
    front=''
    [ "$status" = 0 ] || { fail "restore ended with $status, not as the program"; return; }
    [ -e "$folder/outlived" ] || { fail "who outlived the first process was not waited for"; return; }
    rm "$data/arrived"
    unshare -p -f --mount-proc $SCRIPT restore "$folder/images" >"$folder/said" 2>&1 &
    front=$!
    until_done 60 grep -q "^Restored" "$folder/said" || { fail "it is not restored again"; return; }
    pkill -TERM -P "$front"
    wait "$front"
    status=$?
    front=''
    [ "$status" = 143 ] || fail "restore ended with $status, not as the program that was told to end"
}

leave_running() {
    start && gives 0 cpulevel dump "$pid" --images "$folder/images" --leave-running && levelled "after --leave-running" &&
        goes_on "after --leave-running"
}

# Somebody has let it go before: the dump leaves it so, and the restore levels it.
let_go_before() {
    start && gives 0 cpulevel release "$pid" --leave-stopped || return
    gives 0 cpulevel dump "$pid" --images "$folder/images" --leave-running && says "let go" && says "Dumped: 1 process with [2-9]" || return
    [ "$(field "$pid" TracerPid)" = 0 ] || { fail "it was taken up"; return; }
    rm -rf "$folder/images"
    gives 3 cpulevel dump "$pid" --images "$folder/images" --criu-option=--action-script=/bin/false && says "somebody else had let the tree go" || return
    rm -rf "$folder/images"
    gives 0 cpulevel dump "$pid" --images "$folder/images" && has_left && comes_back && goes_on "after the restore"
}

# By its supervisor's number, as a job of this shell's session where there is one.
by_front() {
    start && gives 0 cpulevel dump "$front" --images "$folder/images" && has_left && comes_back && goes_on "after the restore"
}

# CRIU fails at the beginning, when the tree is let go of already, and at the end.
criu_fails() {
    start && gives 3 cpulevel dump "$pid" --images "$folder/images" --criu-option=--action-script=/bin/false &&
        says "Script /bin/false exited" && says "the tree runs on, levelled, as before" && levelled "after a dump that failed" || return
    rm -rf "$folder/images"
    gives 3 cpulevel dump "$pid" --images "$folder/images" --criu /travel/bin/no_criu && says "CRIU is not there" && levelled "without CRIU" || return
    [ ! -e "$folder/images" ] || { fail "a folder was made"; return; }
    mkdir "$folder/images" && touch "$folder/images/mine"
    gives 2 cpulevel dump "$pid" --images "$folder/images" && says "not empty" || return
    touch "$folder/file"
    gives 2 cpulevel dump "$pid" --images "$folder/file" && says "not a folder" && levelled "with a full folder" && goes_on "after all"
}

# It was shown more than the target has.
unfit() {
    start && gives 1 cpulevel dump "$pid" --images "$folder/images" --to x86-64 && says "sse4_2" && levelled "after a refusal" || return
    [ ! -e "$folder/images/cpulevel.json" ] || { fail "a record was written"; return; }
    goes_on "after a refusal"
}

damaged() {
    start && gives 0 cpulevel dump "$pid" --images "$folder/images" && has_left || return
    record=$folder/images/cpulevel.json
    cp "$record" "$folder/good"
    sed 's|"cpulevel/checkpoint/1"|"cpulevel/checkpoint/9"|' "$folder/good" >"$record"
    gives 2 cpulevel restore "$folder/images" && says "checkpoint/9" || return
    head -c 5000 "$folder/good" >"$record"
    gives 2 cpulevel restore "$folder/images" && says "not a valid record" || return
    sed 's|"popcnt"|"avx512f"|' "$folder/good" >"$record"
    gives 2 cpulevel restore "$folder/images" || return
    # The action script refuses as well, and CRIU then restores nothing.
    gives 1 criu restore -d -D "$folder/images" -o restore.log --action-script $SCRIPT || return
    grep -q "cpulevel: not a valid" "$folder/images/restore.log" || { fail "the script does not say why"; return; }
    rm "$record"
    gives 2 cpulevel restore "$folder/images" && says "no cpulevel.json" || return
    mkfifo "$record"
    gives 2 timeout 20 cpulevel restore "$folder/images" && says "not a regular file" || return
    rm "$record" && cp "$folder/good" "$record"
    cp -a "$folder/images" "$folder/cut" && truncate -s -4096 "$folder/cut/pages-1.img"
    gives 2 cpulevel restore "$folder/cut" && says "pages-1.img" || return
    gives 2 cpulevel audit "$folder/cut" --to "$level" && says "pages-1.img" || return
    gives 2 cpulevel restore "$folder/nowhere" && says "no such folder" || return
    # CRIU ends before it has a log, and an earlier one is not quoted.
    echo "Error (criu/x.c:1): of another time" >"$folder/images/restore.log"
    gives 3 cpulevel restore "$folder/images" --criu-option=--bogus && says "unrecognized option" || return
    ! grep -q "another time\|restore.log" "$folder/said" || { fail "an earlier log is quoted"; return; }
    [ ! -d "/proc/$gone" ] || { fail "something was restored"; return; }
    comes_back && goes_on "after the restore"
}

# CRIU alone with the action script, as a container engine has it.
criu_dump() {  # PID OPTION...
    criu_pid=$1
    shift
    rm -rf "$folder/images"
    mkdir "$folder/images"
    criu dump -t "$criu_pid" -D "$folder/images" -o dump.log -v2 --action-script $SCRIPT "$@"
}
criu_restore() { criu restore -d --cpu-cap=none --manage-cgroups=ignore -o restore.log -v2 -D "$folder/images" --action-script $SCRIPT "$@"; }
is_levelled() { [ "$(field "$pid" TracerPid)" != 0 ] && [ "$(field "$pid" State)" != "T (stopped)" ]; }

script() {
    start && gives 1 criu_dump "$pid" --action-script /bin/false && until_done 20 is_levelled || { fail "a failed dump leaves it let go"; return; }
    levelled "after a dump that failed" && gives 0 criu_dump "$pid" --leave-running || return
    until_done 20 is_levelled || { fail "--leave-running leaves it let go"; return; }
    levelled "after --leave-running" || return
    # CRIU passes the script's refusal on.
    CPULEVEL_CRIU_TO=x86-64
    export CPULEVEL_CRIU_TO
    criu_dump "$pid" >/dev/null 2>&1 && { fail "it was dumped for what it cannot run on"; return; }
    unset CPULEVEL_CRIU_TO
    grep -q "cpulevel: this checkpoint cannot go there: x86-64.*sse4_2" "$folder/images/dump.log" || { fail "the script does not say why"; return; }
    [ ! -e "$folder/images/cpulevel.json" ] || { fail "a record was written"; return; }
    until_done 20 is_levelled || { fail "a refused dump leaves it let go"; return; }
    gives 0 criu_dump "$pid" && has_left || return
    pid=$gone
    gives 0 criu_restore && levelled "after the restore" && goes_on "after the restore"
}

# CRIU's --leave-stopped: nothing runs before somebody continues it, and it is levelled then.
stopped() {
    start && gives 0 criu_dump "$pid" && has_left || return
    pid=$gone
    gives 0 criu_restore --leave-stopped || return
    [ "$(field "$pid" State)" = "t (tracing stop)" ] || { fail "its state is $(field "$pid" State)"; return; }
    [ "$(field "$pid" TracerPid)" != 0 ] || { fail "it is not supervised"; return; }
    kill -CONT "$pid"
    levelled "when it is continued" && goes_on "when it is continued"
}

# What has no level, and folders that are not ours: the script keeps out of it.
bare() {
    mkdir -p "$folder"
    echo "$next_pid" >/proc/sys/kernel/ns_last_pid
    detached "$folder" "/travel/bin/$program" &
    front=$!
    until_done 60 is_working || { fail "it does not start"; return; }
    pid=$front
    gives 1 cpulevel dump "$pid" --images "$folder/images" && says "in no levelled tree" || return
    gives 0 criu_dump "$pid" && has_left || return
    [ ! -e "$folder/images/cpulevel.json" ] || { fail "a record was written"; return; }
    pid=$gone
    gives 0 criu_restore || return
    [ "$(field "$pid" TracerPid)" = 0 ] || { fail "it was taken"; return; }
    goes_on "after the restore"
}

# `cpulevel run` and the supervisor are dumped with the program.
inside() {
    start inside || return
    # Neither is a reason against a move; threads that are traced are not known of.
    cpulevel audit "$front" --to "$level" >"$folder/said" 2>&1
    says "cpulevel itself" && ! grep -q "unsafe: " "$folder/said" || { fail "its own processes are called unsafe"; return; }
    gives 0 criu_dump "$front" --leave-running && until_done 20 is_levelled || { fail "--leave-running leaves it let go"; return; }
    levelled "after --leave-running" && gives 0 criu_dump "$front" && has_left || return
    gives 0 cpulevel audit "$folder/images" --to "$level" || return
    pid=$gone
    gives 0 cpulevel restore "$folder/images" && ! grep "warning" "$folder/said" || { fail "not restored, or with warnings"; return; }
    levelled "after the restore" && goes_on "after the restore"
}

depart() { start && gives 0 cpulevel dump "$pid" --images "$folder/images" --to "$level" && has_left && echo "$gone" >"$folder/pid"; }
depart_inside() { start inside && gives 0 criu_dump "$front" && has_left && echo "$gone" >"$folder/pid"; }
arrive() {
    gone=$(cat "$folder/pid")
    comes_back && goes_on "on this CPU"
}
arrive_inside() {
    pid=$(cat "$folder/pid")
    gives 0 criu_restore && levelled "after the restore" && goes_on "on this CPU"
}
# This machine lacks the level.
refused() {
    gone=$(cat "$folder/pid")
    gives 1 cpulevel restore "$folder/images" && says "avx2" && says "nothing was restored" || return
    gives 1 criu_restore || return
    grep -q "cpulevel: this machine may not take the checkpoint.*avx2" "$folder/images/restore.log" || { fail "the script does not say why"; return; }
    [ ! -d "/proc/$gone" ] || fail "it was restored"
}

play_cases
