"""What parents see of their children, when all of them are traced."""

from harness import Context, each, test


@each("stops", "stands_still", "sigchld", "zombie", "subreaper", "parent_death_signal", "parent_death_signal_over_exec",
      "groups")
def child(t: Context, case: str) -> None:
    t.ok(t.same_both_ways(t.victim("children"), case)[1])


@test
def wait_in_shells(t: Context) -> None:
    """Jobs, wait, traps and exit statuses of a shell."""
    text = """
trap 'echo trapped' USR1
kill -USR1 $$
(exit 3) & a=$!
sh -c 'kill -TERM $$' & b=$!
wait $a; echo a=$?
wait $b; echo b=$?
sh -c 'exit 300'; echo c=$?
trap 'echo ended' EXIT
(trap '' TERM; kill -TERM $(sh -c 'echo $PPID'); echo survived)
set -e; false
echo never
"""
    t.same_both_ways("/bin/bash", "-c", text)
