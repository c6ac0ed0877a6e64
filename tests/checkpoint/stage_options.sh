# The verbs of the cases that are about CRIU's options (stage.sh, which has the rest).
# shellcheck shell=sh disable=SC2015,SC2154

# start_other_end WHAT: it stays behind, and says in the file `behind` what it has seen.
start_other_end() {
    mkdir -p "$folder"
    (cd "$folder" && exec /usr/bin/python3 /travel/bin/stays_behind.py "$1" >behind 2>&1 </dev/null) &
    until_done 20 is_listening || fail "the other end does not start: $(cat "$folder/behind")"
}
is_listening() { [ -e "$folder/port" ] || [ -e "$folder/listens" ]; }

# was_told WORDS: what the other end says, at its end
was_told() {
    until_done 20 grep -q . "$folder/behind" || { fail "the other end says nothing"; return; }
    grep -q "$1" "$folder/behind" || fail "the other end says: $(cat "$folder/behind")"
}

# only_with OPTION WORDS: without it the dump is refused, for this reason and with this option as the hint; the tree goes on.
only_with() {  # OPTION WORDS MORE...
    option=$1 words=$2
    shift 2
    gives 3 cpulevel dump "$pid" --images "$folder/images" "$@" && says "$words" && says "hint:.* $option" &&
        says "the tree runs on, levelled" && levelled "after a dump without $option" || return
    rm -rf "$folder/images"
    gives 0 cpulevel dump "$pid" --images "$folder/images" "$option" "$@" && has_left
}

# Without iptables: CRIU keeps others out of the connection by nf_tables then, while nobody has it.
tcp() {
    ifconfig lo up 2>/dev/null || ip link set lo up || { fail "no loopback"; return; }
    lock=--criu-option=--network-lock=nftables
    start_other_end tcp && start && only_with --tcp-established "TCP" $lock && comes_back $lock && goes_on "after the restore" &&
        was_told "came in one connection"
}
unix() {
    start_other_end unix && start && only_with --ext-unix-sk "xternal socket" && comes_back && goes_on "after the restore" &&
        was_told "all .* came"
}

held() { (cd "$folder" && /usr/bin/python3 /travel/bin/stays_behind.py locks) | tr '\n' ' '; }
locks() {
    start && [ "$(held)" = "" ] || { fail "not held at the start: $(held)"; return; }
    only_with --file-locks "file locks" || return
    [ "$(held)" = "whole part " ] || { fail "who has ended still holds a lock; not held: $(held)"; return; }
    comes_back && [ "$(held)" = "" ] || { fail "not held after the restore: $(held)"; return; }
    goes_on "after the restore"
}

terminal() {
    mkdir -p "$folder"
    (cd "$folder" && exec /usr/bin/python3 /travel/bin/terminal.py "$level") >"$folder/said" 2>&1 </dev/null || fail "at the terminal"
}

# In a signal handler whose frame the target, a machine without AVX, cannot take.
is_supervised() { [ "$(field "$pid" TracerPid)" != 0 ]; }
# Between two looks the dump is in rt_sigtimedwait(2), which is 128 here.
looks_on() { [ "$(cut -d ' ' -f 1 "/proc/$dump/syscall" 2>/dev/null)" = 128 ]; }
wait_for_handler() {
    start && gives 1 cpulevel dump "$pid" --images "$folder/images" --to "$level" && says "is inside a signal handler (SIGUSR1)" &&
        says "hint:.* --wait SECONDS" || return
    # It gives up in time, and nothing has happened.
    gives 1 cpulevel dump "$pid" --images "$folder/images" --to "$level" --wait 0.3 && says "is inside a signal handler (SIGUSR1)" &&
        says "after 0.3 seconds" || return
    [ ! -e "$folder/images" ] && is_supervised || { fail "something was done"; return; }
    # It waits, as long as the handler lasts, and goes on by itself.
    cpulevel dump "$pid" --images "$folder/images" --to "$level" --wait 60 >"$folder/said" 2>&1 &
    dump=$!
    until_done 20 looks_on || { fail "it does not look at the program again and again"; return; }
    kill -USR2 "$pid"
    wait "$dump" || { fail "exit status $?"; return; }
    says "Audit, to $level: safe" && has_left && comes_back && goes_on "after the restore"
}

# In a cgroup (version 2) of its own, frozen before the dump: CRIU has to be told which, or waits until its time is over. It is mounted
# where nobody expects it.
frozen() {
    mkdir -p /run/somewhere
    mount -t cgroup2 cgroup2 /run/somewhere || { fail "cgroup version 2 cannot be mounted"; return; }
    group=/run/somewhere/cpulevel-$(cat /proc/sys/kernel/random/uuid)
    mkdir "$group" && goes_on_in "$group"
    status=$?
    end  # nobody is in it any more, then
    until_done 10 rmdir "$group" 2>/dev/null || { fail "its cgroup is not empty at the end: $(cat "$group/cgroup.procs")"; return; }
    umount /run/somewhere
    return "$status"
}
is_frozen() { grep -q "frozen 1" "$group/cgroup.events"; }
goes_on_in() {
    start && echo "$pid" >"$group/cgroup.procs" && echo 1 >"$group/cgroup.freeze" && until_done 10 is_frozen ||
        { fail "it does not freeze"; return; }
    gives 0 cpulevel dump "$pid" --images "$folder/images" --leave-running || return
    is_frozen && is_supervised || { fail "it is not frozen, or not levelled, after --leave-running"; return; }
    echo 0 >"$group/cgroup.freeze"
    levelled "when it is thawed" || return
    rm -rf "$folder/images"
    # CRIU freezes and thaws it itself.
    gives 0 cpulevel dump "$pid" --images "$folder/images" --leave-running --criu-option=--freeze-cgroup="$group" &&
        levelled "after a dump that has frozen it" || return
    rm -rf "$folder/images"
    echo 1 >"$group/cgroup.freeze"
    gives 0 cpulevel dump "$pid" --images "$folder/images" && has_left && comes_back && goes_on "after the restore"
}

# Whoever dumps is interrupted, which waits until CRIU has ended; and killed, and then its guard takes the tree up again. Instead of a
# CRIU that works there is one that fails when the test says so.
is_in_criu() { [ -e "$folder/in_criu" ]; }
killed() {
    start || return
    cat >"$folder/criu" <<EOF
#!/bin/sh
case \$1 in --version) exec criu --version ;; esac
touch $folder/in_criu
while [ ! -e $folder/ends ]; do sleep 0.05; done
exit 1
EOF
    chmod 755 "$folder/criu"
    for signal in TERM KILL; do
        rm -rf "$folder/images" "$folder/in_criu" "$folder/ends"
        cpulevel dump "$pid" --images "$folder/images" --criu "$folder/criu" >"$folder/said" 2>&1 &
        dump=$!
        until_done 20 is_in_criu || { fail "CRIU is not started"; return; }
        kill -s "$signal" "$dump"
        [ "$signal" = TERM ] || wait "$dump"
        is_supervised && { fail "it was taken up while CRIU worked"; return; }
        touch "$folder/ends"
        if [ "$signal" = TERM ]; then
            wait "$dump"
            status=$?
            [ "$status" = 3 ] && says "the tree runs on, levelled" || { fail "exit status $status after SIGTERM"; return; }
        fi
        until_done 20 is_levelled || { fail "nobody takes it up after SIG$signal"; return; }
        levelled "after SIG$signal" || return
    done
    gives 0 cpulevel dump "$pid" --images "$folder/again" --leave-running && levelled "after all" && goes_on "after all"
}

# Whoever restores is interrupted when CRIU has restored and not ended yet: what stands there is taken under its level all the same.
interrupted() {
    start && gives 0 cpulevel dump "$pid" --images "$folder/images" && has_left || return
    cat >"$folder/criu" <<EOF
#!/bin/sh
case \$1 in --version) exec criu --version ;; esac
criu "\$@"
status=\$?
touch $folder/in_criu
while [ ! -e $folder/ends ]; do sleep 0.05; done
exit \$status
EOF
    chmod 755 "$folder/criu"
    cpulevel restore "$folder/images" --criu "$folder/criu" >"$folder/said" 2>&1 &
    restore=$!
    until_done 30 is_in_criu || { fail "CRIU has not restored it"; return; }
    for signal in TERM INT HUP; do kill -s "$signal" "$restore"; done
    touch "$folder/ends"
    wait "$restore"
    status=$?
    [ "$status" = 0 ] && says "every thread is supervised" || { fail "exit status $status after the signals"; return; }
    pid=$gone
    levelled "after the restore" && goes_on "after the restore"
}
