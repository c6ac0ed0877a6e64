"""The report of --report: where it goes, and what happens when it cannot."""

import json
import os
import stat

from harness import Context, test


@test
def is_written(t: Context) -> None:
    """With the program's status in it, into a pipe as into a file."""
    where = f"{t.scratch}/report.json"
    t.equal(t.levelled("/bin/sh", "-c", "exit 7", options=("--report", where)).exit, 7, "status")
    with open(where) as file:
        t.equal(json.load(file)["exit_status"], 7, "status in the report")
    pipe = f"{t.scratch}/pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    t.ok(t.levelled("/bin/true", options=("--report", pipe)))
    t.check(stat.S_ISFIFO(os.stat(pipe).st_mode), "the pipe is one no more")
    t.equal(json.loads(os.read(reader, 1 << 16))["exit_status"], 0, "status in the report")
    os.close(reader)


@test
def nowhere_to_put_it(t: Context) -> None:
    """Known before the program starts, which then does not."""
    started = f"{t.scratch}/started"
    run = t.levelled("/bin/touch", started, options=("--report", f"{t.scratch}/missing/report.json"))
    t.equal(run.exit, 125, "status")
    t.check("missing/report.json" in run.messages, f"the message does not name it: {run.messages}")
    t.check(not os.path.exists(started), "the program was started")


@test
def no_room_for_it(t: Context) -> None:
    """Known at the end only: the user is told, and the status is the program's."""
    full = f"{t.scratch}/full"
    os.symlink("/dev/full", full)
    run = t.levelled("/bin/sh", "-c", "exit 7", options=("--report", full))
    t.equal(run.exit, 7, "status")
    t.check("the report is missing" in run.messages, f"nothing is said: {run.messages}")
