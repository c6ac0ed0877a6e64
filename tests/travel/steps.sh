# What the stages of tests/travel, tests/checkpoint and tests/container have in common, for any POSIX shell. `folder` is that of the
# program; where it does not work there, `data` is where it does, and `output` what it writes to.
# shellcheck shell=sh disable=SC2154
PATH=/travel/bin:$PATH:/usr/sbin
export PATH
# CRIU's breakpoints are the CPU's, which not every hypervisor carries out: told by this variable it takes system call stops.
export CRIU_FAULT=130

# until_done SECONDS COMMAND...: a step of another process, which tells nobody when it is done
until_done() {
    until_tries=$(($1 * 20))
    shift
    until "$@"; do
        until_tries=$((until_tries - 1))
        [ "$until_tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

is_working() { grep -q '\(^\| \)working$' "${output:-$folder/output}" 2>/dev/null; }
has_reported() { [ ! -e "${data:-$folder}/report" ]; }
