"""The room of what was deleted is given back, and nothing else is lost by that."""

from __future__ import annotations

import os
import sqlite3
from collections import namedtuple
from contextlib import nullcontext

import numpy as np
import pytest

from experimenter_mpi import IntegerVariable
from experimenter_mpi.database import room
from experimenter_mpi.database.file import engine, filesystem
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.errors import DatabaseError, DatabaseLockedError, NotFoundError
from unit.database.making import array_rows, finished, heat

MB = 1_000_000


@pytest.fixture(params=["local", "shared"])
def disk(request, monkeypatch):
    """Where there is a WAL, and where there is none."""
    if request.param == "shared":
        monkeypatch.setattr(filesystem, "is_local", lambda _: False)
    return request.param


@pytest.fixture
def full(db):
    """A database of 5 MB, most of which the first of two experiments takes."""
    first, second = heat("first"), heat("second")
    for experiment, text in ((first, "x" * 800_000), (second, "y" * 40_000)):
        session_of(db).experiments.enrol(experiment)
        for trial in experiment:
            db.complete_trial(trial.id, {"text": text})
    assert os.path.getsize(db.path) > 5 * MB
    return first, second


def texts(database, name="second"):
    trials = database.get_trials_by_name(name)
    return [trial.results["text"] for trial in trials if trial.has_finished]


def require_sound(path):
    connection = sqlite3.connect(path)
    assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()


def test_deleting_gives_the_room_back(disk, db, full):
    db.delete_experiment(full[0].id)
    left = session_of(db).upkeep.tidy()

    assert left is None
    assert os.path.getsize(db.path) < MB
    assert ["heat.db"] == os.listdir(os.path.dirname(db.path))
    assert ["y" * 40_000] * 6 == texts(db)
    require_sound(db.path)


def test_little_is_not_worth_it_and_what_is_slow_is_left(db, full, monkeypatch):
    session_of(db).upkeep.reset(full[1].id, [0])
    little = session_of(db).upkeep.tidy(full[1].id)
    monkeypatch.setattr(room, "_FREE_PART", 1)
    session_of(db).upkeep.reset(full[0].id, [0, 1])
    slow = session_of(db).upkeep.tidy(full[0].id)

    assert little is None
    assert slow.free > 1.5 * MB
    assert os.path.getsize(db.path) > 5 * MB


def test_arrays_of_results_that_were_reset_go_if_nothing_else_has_them(db, stored):
    shared, own = np.arange(99.0), np.arange(100.0)
    db.complete_trial(stored.trial_ids[0], {"a": shared, "b": own})
    db.complete_trial(stored.trial_ids[1], {"a": shared})
    db.save_snapshot(stored.trial_ids[2], {"a": shared})
    session_of(db).upkeep.reset(stored.id, [0])
    session_of(db).upkeep.tidy(stored.id)

    assert 2 == len(array_rows(db))
    assert 99 == len(db.get_trial(stored.trial_ids[1]).results["a"])
    assert 99 == len(db.latest_snapshot(stored.trial_ids[2]).state["a"])


def statements_of(database, do):
    """Return what ``do`` returns, and the statements that it makes SQLite run."""
    said: list[str] = []
    with session_of(database).storage.writing():
        raw = engine.raw(session_of(database).storage._connected())
        raw.set_trace_callback(said.append)
        found = do()
        raw.set_trace_callback(None)
    return found, said


def test_resetting_many_trials_takes_few_statements(db):
    experiment = heat("many", i=IntegerVariable(1, 700))
    session_of(db).experiments.enrol(experiment)
    session_of(db).ledger(experiment.id).record(
        [finished(index) for index in range(700)], ()
    )
    for index in (3, 600):
        db.save_snapshot(experiment.trial_ids[index], {"a": np.arange(9.0)})
    _, said = statements_of(
        db, lambda: session_of(db).upkeep.reset(experiment.id, range(700))
    )

    assert len(said) < 40
    assert {0} == {trial.attempts for trial in db.get_trials_by_name("many")}
    assert 0 == session_of(db).upkeep.count_snapshots(experiment.id)
    assert [] == array_rows(db)


@pytest.mark.parametrize(
    ("results", "left"),
    [
        ({"x": 1}, False),
        ({"a": np.arange(200_000.0)}, False),  # its own
        ({"a": np.arange(99.0)}, True),  # perhaps another's as well
    ],
)
def test_all_results_are_looked_at_only_where_arrays_may_be_left(
    results, left, db, stored
):
    db.complete_trial(stored.trial_ids[0], results)
    db.complete_trial(stored.trial_ids[1], {"a": np.arange(50.0)})
    assert left == session_of(db).upkeep.reset(stored.id, [0])
    assert (2 if left else 1) == len(array_rows(db))


def test_nothing_is_reset_if_a_trial_is_not_there(db, stored):
    db.complete_trial(stored.trial_ids[0], {"x": 1})
    with pytest.raises(NotFoundError, match="no trial"):
        session_of(db).upkeep.reset(stored.id, [0, 6])

    assert db.get_trial(stored.trial_ids[0]).has_finished


def test_arrays_of_the_configuration_stay(db):
    experiment = heat("arrays", field=np.arange(50.0), N=3)
    session_of(db).experiments.enrol(experiment)
    db.complete_trial(experiment.trial_ids[0], {"a": np.arange(50.0)})
    session_of(db).upkeep.reset(experiment.id, [0])
    session_of(db).upkeep.tidy(experiment.id)

    assert 50 == len(db.get_trial(experiment.trial_ids[0]).configuration["field"])


def test_compacting_deletes_surplus_snapshots_and_files_without_rows(
    disk, db, stored, tmp_path
):
    for index in (0, 1):
        for step in range(4):
            state = {"step": step, "x": np.full(200_000, step), "y": np.full(9, step)}
            db.save_snapshot(stored.trial_ids[index], state | {"t": "x" * 200_000})
    leftover = tmp_path / "heat.db.arrays" / "00" / "left.h5"
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_bytes(b"x")
    surplus = session_of(db).upkeep.surplus_snapshots(1)
    before, after = session_of(db).upkeep.compact(1)

    assert 6 == surplus
    assert before > 4 * after - MB and after < 5 * MB
    assert 4 == len(array_rows(db))
    assert 2 == len(list(tmp_path.glob("heat.db.arrays/*/*")))
    assert [3] == [s.state["step"] for s in db.get_snapshots(stored.trial_ids[1])]
    assert 3 == db.latest_snapshot(stored.trial_ids[0]).state["x"][0]


@pytest.mark.parametrize("first", ["reader", "writer"])
def test_a_reader_is_neither_disturbed_nor_waited_for(first, disk, db, full):
    """Whether it began before the writer, without a WAL, or while there is one."""
    db.delete_experiment(full[0].id)
    reader = sqlite3.connect(db.path, isolation_level=None)
    with session_of(db).storage.writing() if first == "writer" else nullcontext():
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM trials").fetchone()
        with pytest.raises(DatabaseLockedError, match="another program is reading"):
            session_of(db).upkeep.tidy()
        seen = reader.execute("SELECT count(*) FROM trials").fetchone()
        reader.close()

    assert (6,) == seen
    room.give_back(session_of(db).storage)
    assert os.path.getsize(db.path) < MB
    require_sound(db.path)


@pytest.mark.parametrize("lacking", ["folder", "temporary"])
def test_it_is_not_begun_without_the_room_for_it(
    lacking, disk, db, full, monkeypatch, tmp_path
):
    space = namedtuple("space", "f_bavail f_frsize")  # noqa: PYI024
    db.delete_experiment(full[0].id)
    size = os.path.getsize(db.path)
    monkeypatch.setattr(room.os, "statvfs", lambda _: space(10, 4096))
    if lacking == "temporary":
        monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    with pytest.raises(DatabaseError, match=r"needs \d+\.\d MB of free space"):
        session_of(db).upkeep.tidy()

    assert size == os.path.getsize(db.path)
    assert ["y" * 40_000] * 6 == texts(db)


def test_an_interruption_loses_nothing(disk, db, full, monkeypatch):
    db.delete_experiment(full[0].id)

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "_let_signals_in", interrupt)
    monkeypatch.setattr(room, "_STEPS_BETWEEN_LOOKS", 1)
    with pytest.raises(KeyboardInterrupt):
        room.give_back(session_of(db).storage)
    monkeypatch.undo()

    assert ["y" * 40_000] * 6 == texts(db)
    require_sound(db.path)


# Gives room back in the file argv[1], and waits in the middle of it.
COMPACTING = """
import sys
from experimenter_mpi import open_db
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.database import room
from experimenter_mpi.database.file import filesystem
if sys.argv[2] == "shared":
    filesystem.is_local = lambda path: False
looks = 0
def wait():
    global looks
    looks += 1
    if looks == int(sys.argv[3]):
        print("in the middle", flush=True)
        sys.stdin.readline()
    return 0
room._let_signals_in = wait
room._STEPS_BETWEEN_LOOKS = 1
with open_db(sys.argv[1], "") as db:
    room.give_back(session_of(db).storage)
print("done", flush=True)
"""


@pytest.mark.parametrize("look", [1, 20, 120])
@pytest.mark.parametrize("kind", ["local", "shared"])
def test_a_kill_in_the_middle_loses_nothing(kind, look, db, full, child, open_here):
    db.delete_experiment(full[0].id)
    db.close()
    process = child(COMPACTING, str(db.path), kind, str(look))
    assert process.line() == "in the middle"
    process.kill()
    with open_here() as again:
        assert ["y" * 40_000] * 6 == texts(again)
        assert (0, 6) == (
            session_of(again).trials.counts(full[1].id)["pending"],
            session_of(again).trials.counts(full[1].id)["finished"],
        )
        room.give_back(session_of(again).storage)

    assert os.path.getsize(db.path) < MB
    require_sound(db.path)
