# What a process of arm64 depends on is found in the live process: what it was shown, its vectors, its keys.
# machines: aarch64
# programs: src/cli/cpulevel tests/lab/programs/spin
# time: 120
# What the audit says of a process that runs PROGRAM...; its exit status is in audit.status.
audit() {  # LEVEL|- TARGET PROGRAM...
    audit_level=$1 audit_target=$2
    shift 2
    rm -f pid
    if [ "$audit_level" = - ]; then
        "$@" &
    else
        cpulevel run --level "$audit_level" -- "$@" 2>/dev/null &
    fi
    audit_job=$!
    audit_tries=100
    until [ -s pid ] || [ $audit_tries = 0 ]; do  # written by the program, which has then executed its last one
        audit_tries=$((audit_tries - 1))
        sleep 0.1
    done
    # Its supervisor is the tracer of a levelled process: its registers can be looked at when that has let go.
    [ "$audit_level" = - ] || cpulevel release "$(cat pid)" >release.txt 2>&1 || failed release "$(cat release.txt)"
    cpulevel audit "$(cat pid)" --single --to "$audit_target" --json >audit.json 2>audit.err
    echo $? >audit.status
    kill "$(cat pid)"
    wait $audit_job 2>/dev/null
    cat audit.err
}
kinds() { tr ',' '\n' <audit.json | sed -n 's/.*"kind": *"\([a-z_]*\)".*/\1/p' | sort -u | tr '\n' ' ' | sed 's/ $//'; }
told() { echo "$1: exit $(cat audit.status), $(kinds)"; }

cpulevel run --level armv8.0-a -- spin pid 2>/dev/null &
until [ -s pid ]; do sleep 0.1; done
cpulevel audit "$(cat pid)" --to armv8.0-a --json >audit.json
equal supervised_cannot_be_told "1 unreadable" "$? $(kinds)"
kill "$(cat pid)"
wait
audit armv8.0-a armv8.0-a spin pid
told levelled
if [ "$MACHINE" = arm-max ]; then
    # Every program of a machine with pointer authentication has its keys in use; no level takes them away.
    equal levelled "1 pointer_keys" "$(cat audit.status) $(kinds)"
else
    equal levelled "0 " "$(cat audit.status) $(kinds)"
fi
audit - armv8.0-a spin pid
told unlevelled
equal unlevelled 1 "$(cat audit.status)"
equal unlevelled_was_shown_more started_beyond "$(kinds | grep -o started_beyond)"

cpulevel scan --json >here.json
audit - here.json spin pid
told here
equal to_this_machine 0 "$(cat audit.status)"

if [ "$MACHINE" = arm-max ]; then
    sed 's/\("sve_vector_length": *\)"0x[0-9a-f]*"/\1"0x10"/; s/\("name": *\)"[^"]*"/\1"shorter"/' here.json >shorter.json
    audit - shorter.json spin vectors pid
    told vectors
    equal vectors_are_too_long "1 vector_length" "$(cat audit.status) $(kinds | grep -o vector_length)"
    equal vectors_are_named 1 "$(grep -c 'vectors of 64 bytes' audit.json)"
fi
