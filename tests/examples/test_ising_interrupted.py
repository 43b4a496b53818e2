"""However often the Ising sweep is interrupted, it ends with the same bits."""

import signal
import sqlite3
from contextlib import closing

import pytest

from experimenter_mpi import (
    SerialMode,
    execute,
    get_snapshots,
    get_trials_by_name,
    open_db,
)


@pytest.fixture
def uninterrupted(tiny_ising, ising_bits, tmp_path):
    """Return what the tiny sweep gives when nothing disturbs it."""
    db = open_db("uninterrupted.db", tmp_path)
    execute(tiny_ising, db, SerialMode(), on_error="raise")
    return ising_bits(db)


def test_a_drained_trial_goes_on_where_it_stopped(
    ising, tiny_ising, ising_bits, uninterrupted, tmp_path, monkeypatch
):
    db = open_db("drained.db", tmp_path)
    answers = iter([False] * 4 + [True] * 2)
    with monkeypatch.context() as patch:
        patch.setattr(ising, "stop_requested", lambda: next(answers))
        execute(tiny_ising, db, SerialMode())
    drained = get_trials_by_name(db, "ising")

    execute(tiny_ising, db, SerialMode())

    assert [trial.status for trial in drained] == ["pending", "pending"]
    assert ising_bits(db) == uninterrupted


def test_a_trial_that_crashed_goes_on_from_its_last_snapshot(
    ising, tiny_ising, ising_bits, uninterrupted, tmp_path, monkeypatch
):
    """The error comes in the ninth block; the snapshot is two blocks older."""
    run_block = ising.run_block

    def failing(chain, *rest):
        if chain["sweep"] == 80:
            raise RuntimeError("out of luck")
        run_block(chain, *rest)

    db = open_db("crashed.db", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ising, "run_block", failing)
        execute(tiny_ising, db, SerialMode())
    crashed = get_trials_by_name(db, "ising")
    latest = [get_snapshots(db, trial.id)[0].label for trial in crashed]

    execute(tiny_ising, db, SerialMode())

    assert [trial.status for trial in crashed] == ["failed", "failed"]
    assert latest == ["sweep 60", "sweep 60"]
    assert ising_bits(db) == uninterrupted


def test_a_signal_and_a_second_run_give_the_same_bits_as_one_run(
    examples, ising_bits, start_mpirun, mpirun, tmp_path
):
    """The walltime is over: the scheduler signals, and the user submits again."""
    script = tmp_path / "small.py"
    script.write_text(SMALL.format(folder=str(examples / "ising")))
    command = ["-m", "experimenter_mpi", "run", script, "--db"]
    database = tmp_path / "signalled.db"

    first = start_mpirun(3, *command, database)
    first.wait_for(lambda: snapshots_in(database) >= 2)
    first.send_signal(signal.SIGTERM, rank=0)
    first.wait().expect(75)
    mpirun(3, *command, database).expect(0)
    mpirun(3, *command, tmp_path / "undisturbed.db").expect(0)

    signalled = ising_bits(open_db("signalled.db", tmp_path))
    assert signalled == ising_bits(open_db("undisturbed.db", tmp_path))


SMALL = """
import sys

sys.path.insert(0, {folder!r})

import exp
from experimenter_mpi import Experiment, IterableVariable

small = {{"temperature": 2.1, "seed": IterableVariable(range(2)), "L": 32}}
experiment = Experiment(
    name="ising",
    function=exp.ising,
    configuration={{**exp.experiment.configuration, **small, "snapshot_every": 2}},
)
"""


def snapshots_in(database):
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
            return reader.execute("SELECT count(*) FROM snapshots").fetchone()[0]
    except sqlite3.OperationalError:  # its tables are still to come
        return 0
