# What a case is written with. A case prints one line for each thing that it finds:
#     ok NAME            FAILED NAME REASON            SKIPPED NAME REASON
# $MACHINE is the machine's name, $ARCH x86_64 or aarch64; programs of the header are in PATH, data in /lab/data.
# shellcheck shell=sh

ok() { echo "ok $1"; }

failed() {  # NAME REASON...
    failed_name=$1
    shift
    echo "FAILED $failed_name $(echo "$*" | tr '\n' ' ')"
}

skipped() {  # NAME REASON...
    skipped_name=$1
    shift
    echo "SKIPPED $skipped_name $*"
}

equal() {  # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then ok "$1"; else failed "$1" "expected '$2', got '$3'"; fi
}

differ() {  # NAME ONE OTHER: what is shown bare must not be what is shown levelled, or the test shows nothing
    if [ "$2" != "$3" ]; then ok "$1"; else failed "$1" "both are '$2'"; fi
}

succeeds() {  # NAME COMMAND...: what it prints is kept for the reason
    succeeds_name=$1
    shift
    if succeeds_output=$("$@" 2>&1); then ok "$succeeds_name"; else
        failed "$succeeds_name" "exit status $?: $(echo "$succeeds_output" | tail -n 5)"
    fi
}

# bring NAME FILE: brings FILE back, as NAME, to the runner.
bring() { cp "$2" "/lab/results/$1"; }
