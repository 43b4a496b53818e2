"""A run that keeps few snapshots of each trial: which stay, and what goes with them."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import pytest

from experimenter_mpi.database.file import timestamps
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.array_files import ArrayFiles
from experimenter_mpi.encoding.codec import INLINE_BYTES, encode, owned
from experimenter_mpi.errors import CorruptDocumentError
from experimenter_mpi.trial.outcome import RunningTrial, iso
from unit.database.making import PLACE, array_rows, failed, finished

LARGE = INLINE_BYTES // 8 + 1


@pytest.fixture
def open_ledger(db, stored):
    def open_one(keep, run_id=None):
        return session_of(db).ledger(stored.id, run_id, keep_snapshots=keep)

    return open_one


def save(ledger, stored, index, step, size=0):
    state = {"step": step}
    if size:
        state["x"] = np.full(size, float(step))
    trial_id = str(stored.trial_ids[index])
    ledger.save_snapshot(
        trial_id, owned(encode(state, hash_up_to=INLINE_BYTES), trial_id), None
    )


def steps(db, stored, index=0):
    return [each.state["step"] for each in db.get_snapshots(stored.trial_ids[index])]


def array_files(tmp_path):
    return sorted(str(path) for path in tmp_path.glob("heat.db.arrays/*/*.h5"))


@pytest.mark.parametrize(
    ("keep", "left"), [(None, [3, 2, 1, 0]), (1, [3]), (3, [3, 2, 1])]
)
@pytest.mark.parametrize("size", [0, 5, LARGE])
def test_the_newest_stay_with_their_arrays_and_no_others(
    keep, left, size, db, stored, open_ledger, tmp_path
):
    ledger = open_ledger(keep)
    for step in range(4):
        save(ledger, stored, 0, step, size)

    assert left == steps(db, stored)
    assert (len(left) if size else 0) == len(array_rows(db))
    assert (len(left) if size == LARGE else 0) == len(array_files(tmp_path))
    for each in db.get_snapshots(stored.trial_ids[0]):
        assert [each.state["step"]] * size == list(each.state.get("x", []))


def test_an_array_that_stays_in_use_stays(db, stored, open_ledger):
    """Small arrays of the same content are one: of this trial, of no other."""
    ledger = open_ledger(1)
    for step in range(3):
        ids = [str(stored.trial_ids[index]) for index in (0, 1)]
        for trial_id in ids:
            state = encode({"step": step, "mask": np.arange(9)}, hash_up_to=100)
            ledger.save_snapshot(trial_id, owned(state, trial_id), None)
    db.complete_trial(stored.trial_ids[2], {"mask": np.arange(9)})
    db.mark_trial_as_incomplete(stored.trial_ids[0], keep_snapshots=False)

    assert list(range(9)) == list(db.latest_snapshot(ids[1]).state["mask"])
    assert list(range(9)) == list(db.get_trial(stored.trial_ids[2]).results["mask"])
    assert 2 == len(array_rows(db))


def test_only_trials_that_save_lose_any(db, stored, open_ledger):
    for index in (0, 1):
        for step in range(3):
            db.save_snapshot(stored.trial_ids[index], {"step": step})
    save(open_ledger(2), stored, 0, 3)

    assert [3, 2] == steps(db, stored, 0)
    assert [2, 1, 0] == steps(db, stored, 1)


@pytest.mark.parametrize("end", [finished, failed])
def test_what_a_trial_went_on_from_stays_until_its_end(
    end, db, stored, open_ledger, monkeypatch
):
    seconds = iter(range(100))
    monkeypatch.setattr(timestamps, "now", lambda: iso(next(seconds)))
    for step in range(3):
        db.save_snapshot(stored.trial_ids[0], {"step": step})
    ledger = open_ledger(1)
    ledger.record([], [RunningTrial(0, next(seconds), PLACE)])
    for step in (3, 4):
        save(ledger, stored, 0, step)
    during = steps(db, stored)
    ledger.record([end(0)], ())

    assert ([4, 2], [4]) == (during, steps(db, stored))


def test_a_file_goes_only_after_the_commit_that_lets_it_go(
    db, stored, open_ledger, tmp_path, monkeypatch
):
    """Whatever kills the run in between leaves a file too many, never one too few."""
    ledger = open_ledger(1)
    save(ledger, stored, 0, 0, LARGE)
    monkeypatch.setattr(ArrayFiles, "remove", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(ledger, stored, 0, 1, LARGE)
    monkeypatch.undo()

    assert [1] == steps(db, stored)
    assert 2 == len(array_files(tmp_path))
    assert 1 == session_of(db).sweep_leftovers()
    assert 1.0 == db.latest_snapshot(stored.trial_ids[0]).state["x"][0]


def test_a_full_disk_leaves_the_older_one(db, stored, open_ledger, monkeypatch):
    ledger = open_ledger(1)
    save(ledger, stored, 0, 0)

    def fail(*_, **__):
        raise OSError("full")

    monkeypatch.setattr("experimenter_mpi.database.file.engine.try_commit", fail)
    with pytest.raises(OSError, match="full"):
        save(ledger, stored, 0, 1)
    monkeypatch.undo()

    assert [0] == steps(db, stored)


def test_a_reader_takes_the_newer_one_where_an_older_goes_meanwhile(
    db, stored, open_ledger, open_here, monkeypatch
):
    ledger = open_ledger(1)
    save(ledger, stored, 0, 0, LARGE)
    reader = open_here(read_only=True)
    read = type(session_of(reader).snapshots)._snapshot
    saved = []

    def slow(self, row, experiment_id):
        if not saved:
            saved.append(save(ledger, stored, 0, 1, LARGE))
        return read(self, row, experiment_id)

    monkeypatch.setattr(type(session_of(reader).snapshots), "_snapshot", slow)

    assert 1 == reader.latest_snapshot(stored.trial_ids[0]).state["step"]


def test_a_snapshot_without_its_file_is_still_an_error(
    db, stored, open_ledger, tmp_path
):
    save(open_ledger(1), stored, 0, 0, LARGE)
    os.unlink(array_files(tmp_path)[0])

    with pytest.raises(CorruptDocumentError, match="is missing"):
        db.latest_snapshot(stored.trial_ids[0])


# Saves snapshots of the first trial in the file argv[1] until it is killed.
SAVING = """
import sys
import numpy as np
from experimenter_mpi import open_db
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import INLINE_BYTES, encode, owned
from experimenter_mpi.database.file import filesystem
if sys.argv[2] == "shared":
    filesystem.is_local = lambda path: False
with open_db(sys.argv[1], "") as db, session_of(db).storage.writing():
    experiment = db.get_experiment_by_name("heat")
    trial_id = str(experiment.trial_ids[0])
    ledger = session_of(db).ledger(experiment.id, keep_snapshots=1)
    latest = db.latest_snapshot(trial_id)
    step = latest.state["step"] if latest else 0
    while True:
        step += 1
        state = {"step": step, "few": np.full(9, step), "many": np.full(140_000, step)}
        encoded = owned(encode(state, hash_up_to=INLINE_BYTES), trial_id)
        ledger.save_snapshot(trial_id, encoded, None)
        print(step, flush=True)
"""


@pytest.mark.parametrize("kind", ["local", "shared"])
def test_a_kill_leaves_the_newest_snapshot_whole(
    kind, db, stored, child, open_here, tmp_path
):
    """At any moment of saving it, and of removing the one before."""
    db.close()
    rng = random.Random(kind)
    for _ in range(6):
        process = child(SAVING, str(tmp_path / "heat.db"), kind)
        for _ in range(rng.randint(1, 5)):
            durable = int(process.line())
        time.sleep(rng.uniform(0, 0.02))  # whenever that is: nothing depends on it
        process.kill()
        with open_here(read_only=True) as reader:
            (snapshot,) = reader.get_snapshots(stored.trial_ids[0])
        step = snapshot.state["step"]
        assert step >= durable
        assert {step} == {*snapshot.state["few"], *snapshot.state["many"]}

    with open_here() as again:
        session_of(again).sweep_leftovers()
        assert 2 == len(array_rows(again))
    assert 1 == len(array_files(tmp_path))
