"""Export and merge: whole, repeatable, and nothing changed when it goes wrong."""

from __future__ import annotations

import os
import sqlite3

import numpy as np
import pytest

import experimenter_mpi as em
from experimenter_mpi import (
    DatabaseError,
    DatabaseWriteError,
    ExperimentMismatchError,
    IntegerVariable,
    NotFoundError,
)
from experimenter_mpi.database import runs, transfer
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.trial.outcome import RunningTrial, Status
from unit.database.making import failed, finished, heat

from experimenter_mpi.encoding.codec import encode  # isort: skip

BIG = np.arange(200_000.0)


def everything(db):
    """All that users can ask a database, by experiment's name."""
    return {
        experiment.name: [
            (
                trial._replace(id=None, experiment_id=None),
                [each._replace(trial_id=None) for each in db.get_snapshots(trial.id)],
            )
            for trial in db.get_trials(experiment.id)
        ]
        for experiment in db.get_experiments()
    }


def rows_of(path):
    """Every row of every table, and every array file."""
    plain = sqlite3.connect(path)
    names = ("experiments", "trials", "snapshots", "arrays", "runs")
    rows = {name: plain.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    plain.close()
    folder = f"{path}.arrays"
    files = sorted(name for _, _, names in os.walk(folder) for name in names)
    return {**rows, "files": files}


@pytest.fixture
def full(db, stored):
    """A database with two experiments, one of them half run, with arrays."""
    session_of(db).experiments.enrol(
        heat("other", field=BIG, small=np.arange(3), N=IntegerVariable(1, 2))
    )
    ledger = session_of(db).ledger(stored.id)
    ledger.record([finished(0), failed(1), finished(4, {"nested": [1, None]})], ())
    db.save_snapshot(stored.trial_ids[1], {"step": 1}, "first")
    db.save_snapshot(stored.trial_ids[1], {"step": 2})
    run = session_of(db).runs.start(
        stored.id, {"mode": "SerialMode", "hostname": "a", "pid": 1}
    )
    session_of(db).runs.finish(run, "failed", session_of(db).trials.counts(stored.id))
    return db


def test_an_export_holds_everything(full, tmp_path):
    with em.export_db(full, tmp_path / "copy.db") as copy:
        assert repr(everything(copy)) == repr(everything(full))
        assert copy.get_experiment_by_name("heat").id == full.get_experiments()[0].id

    assert rows_of(tmp_path / "copy.db") == rows_of(tmp_path / "heat.db")
    assert sorted(os.listdir(tmp_path)) == [
        "copy.db",
        "copy.db.arrays",
        "heat.db",
        "heat.db.arrays",
    ]


def test_an_export_holds_only_the_named_experiments(full, tmp_path):
    with full.export_db(tmp_path / "copy.db", "heat", "heat") as copy:
        assert list(everything(copy)) == ["heat"]

    assert not (tmp_path / "copy.db.arrays").exists()


def test_a_database_in_memory_can_be_exported_and_merged_into(
    full, open_here, tmp_path
):
    memory = open_here(in_memory=True)
    memory.merge_databases(full)
    with memory.export_db(tmp_path / "copy.db") as copy:
        assert repr(everything(copy)) == repr(everything(full))
    assert len(rows_of(tmp_path / "copy.db")["files"]) == 1


def test_a_database_opened_for_reading_can_be_exported(full, open_here, tmp_path):
    with open_here(read_only=True).export_db(tmp_path / "copy.db") as copy:
        assert list(everything(copy)) == ["heat", "other"]


def test_an_export_never_overwrites(full, tmp_path):
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(DatabaseWriteError, match=r"copy\.db exists"):
        full.export_db(tmp_path / "copy.db")
    with pytest.raises(DatabaseWriteError, match=r"heat\.db exists"):
        full.export_db(tmp_path / "heat.db")

    assert (tmp_path / "copy.db").read_text() == "mine"


def test_an_export_that_fails_leaves_nothing(full, tmp_path, monkeypatch):
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(NotFoundError, match=r"no experiment 'head'.*'heat'"):
        full.export_db(tmp_path / "copy.db", "other", "head")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.CopiedRuns, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        full.export_db(tmp_path / "copy.db")

    assert sorted(os.listdir(tmp_path)) == before


def test_an_exported_trial_does_not_run(full, stored, tmp_path):
    place = finished(0).place
    session_of(full).ledger(stored.id).record((), [RunningTrial(2, 0.0, place)])
    with full.export_db(tmp_path / "copy.db") as copy:
        assert session_of(copy).trials.counts(stored.id)["running"] == 0


@pytest.fixture
def run_twice(db, stored):
    """A database in which trials, a failure and a snapshot are of the second run."""
    for index, hostname in enumerate(["a", "b"]):
        run = session_of(db).runs.start(stored.id, {"hostname": hostname, "pid": index})
        session_of(db).runs.finish(
            run, "stopped", session_of(db).trials.counts(stored.id)
        )
    ledger = session_of(db).ledger(stored.id, run)
    ledger.record([finished(0), failed(1)], [RunningTrial(2, 0.0, finished(0).place)])
    ledger.save_snapshot(str(stored.trial_ids[3]), encode({"step": 1}), None)
    ledger.complete(str(stored.trial_ids[4]), encode({"by": "itself"}))
    db.complete_trial(stored.trial_ids[5], {"by": "hand"})
    return db


HOSTS = """
    SELECT trial_index, hostname FROM (
        SELECT trial_index, run_id FROM trials UNION ALL
        SELECT 100, run_id FROM snapshots
    ) JOIN runs ON runs.id = run_id ORDER BY 1
"""


def hosts_by_run(path):
    plain = sqlite3.connect(path)
    rows = plain.execute(HOSTS).fetchall()
    plain.close()
    return rows


def test_what_a_run_did_says_which_run(run_twice, stored, tmp_path):
    assert hosts_by_run(tmp_path / "heat.db") == [(i, "b") for i in (0, 1, 2, 4, 100)]
    assert [trial.run_id for trial in run_twice.get_trials(stored.id)] == [
        *(2, 2, 2, None, 2, None)
    ]
    assert [row["run_id"] for row in run_twice.get_progress("heat")][:2] == [2, 2]

    run_twice.mark_trial_as_incomplete(stored.trial_ids[0])
    assert run_twice.get_trial(stored.trial_ids[0]).run_id is None


def test_runs_keep_their_trials_under_the_numbers_of_another_database(
    run_twice, open_here, tmp_path
):
    before = hosts_by_run(tmp_path / "heat.db")
    primary = open_here("primary.db")
    other = heat("other")
    session_of(primary).experiments.enrol(other)
    session_of(primary).runs.start(other.id, {"hostname": "elsewhere"})
    for _ in range(2):
        primary.merge_databases(run_twice)
        assert hosts_by_run(tmp_path / "primary.db") == before

    run_twice.export_db(tmp_path / "copy.db").close()
    assert hosts_by_run(tmp_path / "copy.db") == before


def test_results_that_are_merged_into_an_experiment_keep_their_run(
    run_twice, open_here, tmp_path
):
    primary = open_here("primary.db")
    mine = heat()
    session_of(primary).experiments.enrol(mine)
    run = session_of(primary).runs.start(mine.id, {"hostname": "mine"})
    session_of(primary).ledger(mine.id, run).record([finished(2)], ())
    primary.merge_databases(run_twice)

    assert hosts_by_run(tmp_path / "primary.db") == [
        *((0, "b"), (1, "b"), (2, "mine"), (4, "b"), (100, "b"))
    ]


def test_a_new_experiment_is_merged_whole(full, open_here):
    primary = open_here("primary.db")
    session_of(primary).experiments.enrol(heat("mine"))
    em.merge_databases(primary, full)

    assert list(everything(primary)) == ["mine", "heat", "other"]
    expected = {"mine": everything(primary)["mine"], **everything(full)}
    assert repr(everything(primary)) == repr(expected)


def test_merging_twice_changes_nothing(full, open_here, tmp_path):
    primary = open_here("primary.db")
    session_of(primary).experiments.enrol(heat())
    primary.merge_databases(full)
    before = rows_of(tmp_path / "primary.db")
    primary.merge_databases(full)
    full.merge_databases(full)

    assert rows_of(tmp_path / "primary.db") == before
    assert [len(before[name]) for name in ("runs", "snapshots", "files")] == [1, 2, 1]


def test_a_shared_experiment_takes_the_results_it_lacks_and_keeps_its_own(
    full, open_here
):
    """Two machines ran halves of one experiment; each drew an id of its own."""
    primary = open_here("primary.db")
    mine = heat()
    session_of(primary).experiments.enrol(mine)
    session_of(primary).ledger(mine.id).record(
        [finished(0, {"mine": 1}), failed(4)], ()
    )
    primary.save_snapshot(mine.trial_ids[1], {"step": 0})
    primary.merge_databases(full)
    trials = primary.get_trials(mine.id)

    assert [trial.status for trial in trials] == [
        *("finished", "failed", "pending", "pending", "finished", "pending")
    ]
    assert trials[0].results == {"mine": 1}
    assert trials[4].results == {"nested": [1, None]} and trials[4].error is None
    assert trials[4].hostname == "node17"
    assert [
        each.state["step"] for each in primary.get_snapshots(mine.trial_ids[1])
    ] == [2, 1, 0]


def test_arrays_of_merged_results_come_along_and_no_others(
    db, stored, open_here, tmp_path
):
    for index in range(3):
        db.complete_trial(
            stored.trial_ids[index], {"big": BIG + index, "small": np.arange(index)}
        )
    primary = open_here("primary.db")
    mine = heat()
    session_of(primary).experiments.enrol(mine)
    primary.complete_trial(mine.trial_ids[0], {})
    primary.merge_databases(db)

    results = primary.get_trial(mine.trial_ids[2]).results
    assert np.array_equal(results["big"], BIG + 2)
    assert results["small"].tolist() == [0, 1]
    rows = rows_of(tmp_path / "primary.db")
    assert (len(rows["arrays"]), len(rows["files"])) == (4, 2)


def test_another_configuration_refuses_the_whole_merge(full, open_here, tmp_path):
    primary = open_here("primary.db")
    session_of(primary).experiments.enrol(heat("other", N=IntegerVariable(1, 9)))
    before = rows_of(tmp_path / "primary.db")
    with pytest.raises(ExperimentMismatchError) as caught:
        primary.merge_databases(full)

    assert "N: IntegerVariable(1, 9) -> IntegerVariable(1, 2)" in str(caught.value)
    assert "Nothing of it was merged" in str(caught.value)
    assert rows_of(tmp_path / "primary.db") == before


def test_one_id_for_two_experiments_refuses_the_merge(full, open_here):
    primary = open_here("primary.db")
    thief = heat("thief")
    thief.id = full.get_experiment_by_name("heat").id
    session_of(primary).experiments.enrol(thief)
    with pytest.raises(DatabaseError, match="'heat' .* has the id of 'thief'"):
        primary.merge_databases(full)

    assert list(everything(primary)) == ["thief"]


def test_an_array_file_that_is_missing_refuses_the_merge(full, open_here, tmp_path):
    (name,) = rows_of(tmp_path / "heat.db")["files"]
    os.unlink(tmp_path / "heat.db.arrays" / name[:2] / name)
    primary = open_here("primary.db")
    with pytest.raises(em.CorruptDocumentError, match="is missing"):
        primary.merge_databases(full)

    assert everything(primary) == {}


def test_reading_the_second_database_needs_no_lock_on_it(full, open_here):
    primary = open_here("primary.db")
    with session_of(full).storage.writing():
        primary.merge_databases(open_here(read_only=True))

    assert list(everything(primary)) == ["heat", "other"]


def test_many_trials_are_merged_page_by_page(open_here, monkeypatch):
    monkeypatch.setattr(transfer, "_ROWS_AT_ONCE", 7)
    first, second = open_here("first.db"), open_here("second.db")
    ours, theirs = (heat(N=IntegerVariable(1, 50)) for _ in range(2))
    session_of(first).experiments.enrol(ours)
    session_of(second).experiments.enrol(theirs)
    session_of(first).ledger(ours.id).record(
        [finished(index) for index in range(0, 50, 2)], ()
    )
    session_of(second).ledger(theirs.id).record(
        [finished(index) for index in range(0, 50, 3)], ()
    )
    for index in range(20):
        session_of(second).ledger(theirs.id).save_snapshot(
            str(theirs.trial_ids[index]), encode({"step": index}), None
        )
    first.merge_databases(second)
    done = {trial.index for trial in first.get_trials(ours.id) if trial.has_finished}

    assert done == {*range(0, 50, 2), *range(0, 50, 3)}
    assert first.latest_snapshot(ours.trial_ids[19]).state == {"step": 19}


def test_a_trial_that_failed_in_the_other_database_is_one_that_failed(open_here):
    """Else the failures of a job array's other tasks would be lost in the merge."""
    primary, other = open_here("primary.db"), open_here("other.db")
    for database in (primary, other):
        session_of(database).experiments.enrol(heat(), id_by_content=True)
    mine, theirs = (
        session_of(db).ledger(db.get_experiment_by_name("heat").id)
        for db in (primary, other)
    )
    mine.record([finished(0), failed(1)], ())
    theirs.record([failed(0), finished(1), failed(2)], ())

    primary.merge_databases(other)
    primary.merge_databases(other)

    trials = primary.get_trials_by_name("heat")
    statuses = ["finished", "finished", "failed", "pending", "pending", "pending"]
    assert statuses == [trial.status for trial in trials]
    assert "too hot" == trials[2].error_message


def test_a_trial_that_was_tried_here_keeps_what_it_failed_of(open_here):
    primary, other = open_here("primary.db"), open_here("other.db")
    for database, times in ((primary, 1), (other, 2)):
        session_of(database).experiments.enrol(heat(), id_by_content=True)
        ledger = session_of(database).ledger(database.get_experiment_by_name("heat").id)
        for _ in range(times):
            ledger.record([failed(3)], ())

    primary.merge_databases(other)

    assert 1 == primary.get_trials_by_name("heat")[3].attempts


def test_a_trial_that_was_interrupted_here_is_not_one_that_failed(open_here):
    """It goes on from where it was; that it failed elsewhere is that run's matter."""
    primary, other = open_here("primary.db"), open_here("other.db")
    for database in (primary, other):
        session_of(database).experiments.enrol(heat(), id_by_content=True)
    ours, theirs = (
        session_of(db).ledger(db.get_experiment_by_name("heat").id)
        for db in (primary, other)
    )
    interrupted = finished(3, status=Status.PENDING, results=None)
    ours.record([interrupted], ())
    theirs.record([failed(3)], ())
    assert 1 == primary.get_trials_by_name("heat")[3].attempts

    primary.merge_databases(other)

    assert "pending" == primary.get_trials_by_name("heat")[3].status
