"""A trial that fails is data: it is recorded, the run goes on, the next run retries."""

from __future__ import annotations

import re

FRAGILE = """
import os, sys
from pathlib import Path
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    n = configuration["n"]
    with open("ran.txt", "a") as file:
        file.write(f"{n}\\n")
    if Path("mended").exists() or n % 2:
        return {"n": n}
    if n == 0:
        sys.exit(7)
    if n == 2:
        return [n]
    if n == 4:
        return {"socket": __import__("socket").socket()}
    raise RuntimeError(f"trial {n} is fragile")

experiment = Experiment(
    "fragile", function=trial, configuration={"n": IntegerVariable(0, 9)}
)
"""


def ran(folder):
    return sorted(map(int, (folder.path / "ran.txt").read_text().split()))


def test_every_failure_is_recorded_and_the_run_goes_on(run_cli, folder):
    folder.write(FRAGILE)

    done = run_cli("run", "exp.py").expect(1)

    assert "fragile: 5 finished, 5 failed" in done.stdout
    assert "Traceback" not in done.stderr
    assert [
        (0, "SystemExit", "the trial called sys.exit(7)"),
        (2, "EncodingError", "trial returned list; a trial must return a dict"),
        (6, "RuntimeError", "trial 6 is fragile"),
        (8, "RuntimeError", "trial 8 is fragile"),
    ] == folder.query(
        "SELECT trial_index, error_type, error_message FROM trials "
        "WHERE status = 'failed' AND trial_index != 4 ORDER BY trial_index"
    )
    [(message,)] = folder.query("SELECT error_message FROM trials WHERE trial_index=4")
    assert "socket" in message


def test_status_and_show_say_what_happened(run_cli, serial, folder):
    folder.write(FRAGILE)
    run_cli("run", "exp.py").expect(1)
    cli = ("-m", "experimenter_mpi")

    status = serial(*cli, "status", folder.database, "fragile").expect(0).stdout
    show = serial(*cli, "show", folder.database, "fragile:6").expect(0).stdout

    assert "RuntimeError" in status
    assert "trial 6 is fragile" in status
    assert "trial 6 of 'fragile': failed" in show
    assert 'raise RuntimeError(f"trial {n} is fragile")' in show
    assert "run exp.py" in show
    assert "--trial 6" in show


def test_the_next_run_retries_only_what_is_unfinished(run_cli, folder):
    folder.write(FRAGILE)
    run_cli("run", "exp.py").expect(1)
    (folder.path / "mended").touch()
    (folder.path / "ran.txt").unlink()

    done = run_cli("run", "exp.py").expect(0)

    assert [0, 2, 4, 6, 8] == ran(folder)
    assert "fragile: 5 finished, 0 failed in " in done.stdout
    assert "; 5 finished before" in done.stdout
    assert [(1, 5), (2, 5)] == folder.query(
        "SELECT attempts, count(*) FROM trials GROUP BY attempts"
    )


def test_failed_trials_can_be_left_alone(run_cli, folder):
    folder.write(FRAGILE)
    run_cli("run", "exp.py").expect(1)
    (folder.path / "ran.txt").unlink()

    done = run_cli("run", "exp.py", "--no-retry-failed").expect(1)

    assert "0 finished, 5 failed" in done.stdout
    assert not (folder.path / "ran.txt").exists()


def test_the_first_failure_can_stop_the_run_and_be_shown(run_cli, folder):
    folder.write(FRAGILE)

    done = run_cli(
        "run", "exp.py", "--trial", "6-9", "--on-error", "raise", timeout=60
    ).expect(1)

    assert re.search(r"RuntimeError: trial [68] is fragile", done.stderr)
    assert folder.statuses().get("failed", 0) in (1, 2)


def test_a_run_with_nothing_left_ends_with_0_at_once(run_cli, folder):
    folder.write(FRAGILE)
    (folder.path / "mended").touch()
    run_cli("run", "exp.py").expect(0)
    (folder.path / "ran.txt").unlink()

    done = run_cli("run", "exp.py").expect(0)

    assert "; 10 finished before" in done.stdout
    assert not (folder.path / "ran.txt").exists()


LATE = """
import time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    if configuration["n"] == 1:
        time.sleep(1000)
    return {}

experiment = Experiment(
    "late", function=trial, configuration={"n": IntegerVariable(0, 5)}
)
"""


def test_a_trial_that_nothing_can_stop_does_not_keep_the_run_from_its_end(
    mpirun, folder
):
    folder.write(LATE)

    run = ("-m", "experimenter_mpi", "run", "exp.py", "--trial-timeout", "1")
    done = mpirun(3, *run).expect(1)

    assert "trial 1 on rank " in done.stderr
    assert "is overdue: it ran longer than the 1 s of --trial-timeout" in done.stderr
    assert "ended without trial 1, which is overdue" in done.stderr
    assert {"finished": 5, "failed": 1} == folder.statuses()
    assert [("failed",)] == folder.query("SELECT ended FROM runs")
    assert not (folder.path / "experiments" / "experiments.db.lock").exists()
