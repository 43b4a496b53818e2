"""One run at a time writes to a database, and readers neither stop it nor wait."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3

import pytest

from support.experiments import PACKAGE

RUN = (*PACKAGE, "run", "exp.py")
# Each trial begins, says so, and ends when it is let go.
HELD = """
import os, time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    with open("ran.txt", "a") as file:
        file.write(f"{os.getpid()} {configuration['n']}\\n")
    while not os.path.exists("go"):
        time.sleep(0.01)
    return {"n": configuration["n"]}

experiment = Experiment(
    "held", function=trial, configuration={"n": IntegerVariable(0, 5)}
)
"""
# As if the folder were on a file server, where a rollback journal is used.
ON_NFS = """
from experimenter_mpi.database.file import filesystem
filesystem._mountinfo = lambda: "27 1 0:27 / / rw,relatime - nfs4 server:/ rw"
"""


def ran(folder):
    path = folder.path / "ran.txt"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def let_go(folder):
    (folder.path / "go").touch()


def reader_of(folder):
    """A program that has begun to read, and does not end."""
    path = f"file:{folder.database}?mode=ro"
    connection = sqlite3.connect(path, uri=True, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM trials").fetchone()
    return connection


def test_a_second_run_is_told_who_writes_where_and_in_which_job(
    start_serial, serial, folder
):
    folder.write(HELD)
    first = start_serial(*RUN, env={"SLURM_JOB_ID": "4711"})
    first.wait_for(lambda: ran(folder))

    second = serial(*RUN).expect(3)

    who = f"process {first.pid} on {socket.gethostname()}, job 4711, since 20"
    assert f"is being written by {who}" in second.stderr
    assert 1 == len(second.stderr.splitlines())
    let_go(folder)
    first.wait().expect(0)
    assert {"finished": 6} == folder.statuses()


def test_a_run_after_a_kill_takes_over_at_once_and_says_so(
    start_serial, serial, folder
):
    folder.write(HELD)
    killed = start_serial(*RUN)
    killed.wait_for(lambda: ran(folder))
    killed.send_signal(signal.SIGKILL)
    let_go(folder)

    second = serial(*RUN).expect(0)

    assert f"took over the lock on {folder.database} of process" in second.stderr
    assert f"{killed.pid} on {socket.gethostname()}" in second.stderr
    assert {"finished": 6} == folder.statuses()
    assert not folder.database.with_name("experiments.db.lock").exists()


def test_of_two_runs_started_together_exactly_one_runs(start_serial, folder):
    folder.write(HELD)
    both = [start_serial(*RUN), start_serial(*RUN)]
    both[0].wait_for(lambda: any(run.poll() is not None for run in both))
    refused = next(run for run in both if run.poll() is not None)
    winner = next(run for run in both if run is not refused)

    assert "is being written by" in refused.wait().expect(3).stderr
    winner.wait_for(lambda: ran(folder))
    let_go(folder)
    winner.wait().expect(0)
    assert {str(winner.pid)} == {line.split()[0] for line in ran(folder)}
    assert {"finished": 6} == folder.statuses()


# Lives on another host, as far as others can tell.
ELSEWHERE = """
import socket
socket.gethostname = lambda: "node17"
"""


def test_a_run_that_stood_still_and_was_taken_over_writes_nothing_more(
    start_serial, folder
):
    """Its node hung, and came back after another run had begun."""
    folder.write(ELSEWHERE + HELD)
    stopped = start_serial(*RUN)
    stopped.wait_for(lambda: ran(folder))
    stopped.send_signal(signal.SIGSTOP)
    lock = folder.database.with_name("experiments.db.lock")
    old = lock.stat().st_mtime - 1000
    os.utime(lock, (old, old))
    folder.write(HELD)
    second = start_serial(*RUN)
    second.wait_for("took over the lock")
    second.wait_for(lambda: len({line.split()[0] for line in ran(folder)}) == 2)
    let_go(folder)
    second.wait().expect(0)
    before = folder.query("SELECT id, results, finished_at FROM trials")

    stopped.send_signal(signal.SIGCONT)
    done = stopped.wait().expect(3)

    assert "was suspended for so long that another run took" in done.stderr
    assert "Traceback" not in done.stderr
    assert before == folder.query("SELECT id, results, finished_at FROM trials")
    assert [("ok",)] == folder.query("PRAGMA integrity_check")


def test_a_reader_does_not_hold_up_a_run_on_a_local_disk(start_serial, folder):
    folder.write(HELD)
    running = start_serial(*RUN)
    running.wait_for(lambda: ran(folder))
    reader = reader_of(folder)
    let_go(folder)

    done = running.wait().expect(0)

    assert "a reader keeps" not in done.stderr
    seen = reader.execute("SELECT count(*) FROM trials WHERE status = 'finished'")
    assert [(0,)] == seen.fetchall()
    reader.close()
    assert {"finished": 6} == folder.statuses()


@pytest.mark.parametrize("before", [ON_NFS, ""], ids=["on a file server", "at rest"])
def test_a_run_waits_for_a_reader_and_says_so(start_serial, serial, folder, before):
    """Without a WAL nothing can be stored while somebody reads, and nothing is lost."""
    folder.write(before + HELD)
    let_go(folder)
    serial(*RUN).expect(0)
    serial(*PACKAGE, "reset", folder.database, "held", "--all", "--yes").expect(0)
    reader = reader_of(folder)
    running = start_serial(*RUN)
    running.wait_for("wait in memory: close the program that has it open")

    assert running.poll() is None
    reader.execute("ROLLBACK")
    done = running.wait().expect(0)

    assert "was unlocked after" in done.stderr
    assert {"finished": 6} == folder.statuses()
    reader.close()


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_a_database_with_two_names_is_refused_before_the_first_trial(
    library, launches, folder
):
    """Two runs, each with one of the names, would both end well and destroy it."""
    folder.write(HELD)
    let_go(folder)
    run = (*RUN, "--trial", "0")
    launches.start_serial(*run).wait(60).expect(0)
    os.link(folder.database, folder.path / "other.db")

    for name in ("other.db", str(folder.database)):
        started = launches.start_mpirun(3, *RUN, "--db", name, library=library)
        refused = started.wait(60).expect(3)
        assert "is one file with 2 names (hard links)" in refused.stderr
        assert "Traceback" not in refused.stderr
    for verb in (["reset"], ["delete"]):
        more = ["0"] if verb == ["reset"] else []
        command = [*PACKAGE, *verb, str(folder.database), "held", *more, "--yes"]
        launches.start_serial(*command).wait(60).expect(3)

    assert 1 == len(ran(folder))
    assert {"finished": 1, "pending": 5} == folder.statuses()
