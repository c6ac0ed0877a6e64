# What stages that are made of cases have in common (tests/checkpoint, tests/container), for any POSIX shell. Each line of /travel/orders
# is a case, "VERB NAME LEVEL PROGRAM". A fact for each: "ok NAME" or "failed NAME WHY", with indented lines that explain it. The
# programs are the travellers of tests/travel: they check their own results, and pass when they have done after the move what they
# never did before. The stage has the verbs, and `end`, which removes what a case has left.
# shellcheck shell=sh disable=SC2013,SC2034,SC2154
# shellcheck source=tests/travel/steps.sh
. /travel/steps.sh

fail() {
    echo "failed $name $*"
    for file in "$folder"/said "$folder"/images/*.log "$output" "$folder"/behind; do
        [ ! -s "$file" ] || tail -n 8 "$file" | cut -c 1-300 | sed "s|^|    ${file##*/}: |"
    done
    end
    return 1
}

has_passed() { tail -n 1 "$output" 2>/dev/null | grep -q '\(^\| \)passed$'; }
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" 2>/dev/null; }

# says WORDS: the last command said them
says() { grep -q -- "$1" "$folder/said" || fail "does not say: $1"; }

# gives STATUS COMMAND...
gives() {
    wanted=$1
    shift
    "$@" >"$folder/said" 2>&1
    status=$?
    [ "$status" = "$wanted" ] || fail "exit status $status, not $wanted: $*"
}

# It computes, and a supervisor of ours has each of its threads.
levelled() {
    : >"$data/report"
    until_done 30 has_reported || { fail "it does not work: $1"; return; }
    for thread in /proc/"$pid"/task/*; do
        tracer=$(field "$pid/task/${thread##*/}" TracerPid)
        [ "$(cat "/proc/$tracer/comm" 2>/dev/null)" != "" ] || { fail "thread ${thread##*/} is not supervised: $1"; return; }
    done
    cpulevel status "$pid" >"$folder/said" 2>&1
    says "^$level (supervisor $tracer)"
}

goes_on() {
    touch "$data/arrived"
    until_done 60 has_passed || { fail "it does not pass: $1"; return; }
}

# The process of which PARENT is that has a tracer: with `cpulevel run` as PARENT, the program.
supervised_child() {  # PARENT
    for child in $(cat "/proc/$1/task/$1/children"); do
        [ "$(field "$child" TracerPid)" = 0 ] || echo "$child"
    done
}

play_cases() {
    mkdir -p /travel/work
    next_pid=$(cat /travel/first_pid)
    while read -r verb name level program; do
        folder=/travel/work/$name
        data=$folder output=$folder/output
        next_pid=$((next_pid + 100))
        pid='' front='' gone=''
        if "$verb" </dev/null; then echo "ok $name"; fi
        end
    done </travel/orders
}
