"""Trials as users ask for them, and their own changes to them."""

from __future__ import annotations

import datetime as dt
import sqlite3
from types import SimpleNamespace

import numpy as np
import pytest

import experimenter_mpi as em
from experimenter_mpi import CorruptDocumentError, NotFoundError
from experimenter_mpi.database import gaps, records, trials
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.experiment.share import Share
from unit.database.making import array_rows, failed, finished, heat

RESULTS = {
    "distance": 2.5,
    "nan": float("nan"),
    "state": (1 + 2j, {"a"}, b"raw"),
    "spins": np.array([[1, -1], [1, 1]], dtype="i1"),
    "when": dt.datetime(2026, 1, 31, 12, tzinfo=dt.timezone.utc),
}


def test_completing_a_trial_stores_its_results(any_db):
    experiment = heat()
    session_of(any_db).experiments.enrol(experiment)
    any_db.complete_trial(experiment.trial_ids[1], RESULTS)
    trial = any_db.get_trial(experiment.trial_ids[1])

    assert trial.has_finished and trial.finished_at is not None
    assert repr(trial.results) == repr(RESULTS)


def test_completing_again_replaces_the_results(db, stored):
    db.complete_trial(stored.trial_ids[1], {"a": 1})
    db.complete_trial(str(stored.trial_ids[1]), {"a": 2})

    assert db.get_trial(stored.trial_ids[1]).results == {"a": 2}


def test_completing_a_finished_trial_leaves_when_it_was_finished(
    db, stored, monkeypatch
):
    session_of(db).ledger(stored.id).record([finished(0)], ())
    before = db.get_trial(stored.trial_ids[0]).finished_at
    db.complete_trial(stored.trial_ids[0], {"a": 1})
    new_year = SimpleNamespace(time=lambda: 1_767_225_600.0)
    monkeypatch.setattr(trials, "time", new_year)
    session_of(db).ledger(stored.id).record([failed(1)], ())
    db.complete_trial(stored.trial_ids[1], {"a": 1})

    assert db.get_trial(stored.trial_ids[0]).finished_at == before
    assert db.get_trial(stored.trial_ids[1]).finished_at.startswith("2026-01-01")


def test_completing_a_failed_trial_forgets_the_failure(db, stored):
    session_of(db).ledger(stored.id).record([failed(0)], ())
    db.complete_trial(stored.trial_ids[0], {})
    trial = db.get_trial(stored.trial_ids[0])

    assert (trial.error, trial.error_type, trial.status) == (None, None, "finished")


def test_a_trial_marked_incomplete_is_as_if_it_had_never_run(db, stored):
    untouched = db.get_trial(stored.trial_ids[2])
    session_of(db).ledger(stored.id).record([finished(2)], ())
    db.save_snapshot(untouched.id, {"step": 3})
    db.mark_trial_as_incomplete(untouched.id)

    assert db.get_trial(untouched.id) == untouched
    assert db.latest_snapshot(untouched.id).state == {"step": 3}


@pytest.mark.parametrize("size", [10, 400_000])
def test_a_trial_marked_incomplete_starts_over_if_its_snapshots_are_to_go(
    any_db, tmp_path, size
):
    experiment = heat()
    session_of(any_db).experiments.enrol(experiment)
    one, other = experiment.trial_ids[0], experiment.trial_ids[1]
    state = {"spins": np.arange(size), "step": 3}
    for trial_id in (one, one, other):
        any_db.save_snapshot(trial_id, state)
    any_db.mark_trial_as_incomplete(one, keep_snapshots=False)

    assert any_db.get_snapshots(one) == []
    kept = any_db.latest_snapshot(other).state
    assert np.array_equal(kept["spins"], state["spins"])
    assert len(array_rows(any_db)) == 1
    assert len(list(tmp_path.glob("*.arrays/*/*.h5"))) <= 1


@pytest.mark.parametrize("results", [None, [1], "text", 3])
def test_results_that_are_no_dict_are_refused(db, stored, results):
    with pytest.raises(em.EncodingError, match="results must be a dict"):
        db.complete_trial(stored.trial_ids[0], results)
    with pytest.raises(em.EncodingError, match="state must be a dict"):
        db.save_snapshot(stored.trial_ids[0], results)


def test_an_unknown_trial_cannot_be_changed(db, stored):
    unknown = heat().trial_ids[0]
    for change in (
        lambda: db.complete_trial(unknown, {}),
        lambda: db.mark_trial_as_incomplete(unknown),
        lambda: db.save_snapshot(unknown, {}),
        lambda: session_of(db).reports.trial(unknown),
    ):
        with pytest.raises(NotFoundError, match="has no trial"):
            change()


def test_progress_is_a_flat_table_without_results(db, stored):
    session_of(db).ledger(stored.id).record([finished(0), failed(1)], ())
    rows = db.get_progress("heat")

    assert [row["status"] for row in rows] == ["finished", "failed", *["pending"] * 4]
    assert rows[0] == {
        "trial_id": str(stored.trial_ids[0]),
        "experiment_id": str(stored.id),
        "experiment_name": "heat",
        "trial_index": 0,
        "configuration": {"n_steps": 10, "N": 1, "seed": 7},
        "has_finished": True,
        "status": "finished",
        "attempts": 1,
        "started_at": "2023-11-14T22:13:20.250000+00:00",
        "finished_at": "2023-11-14T22:13:21.500000+00:00",
        "duration": 1.25,
        "run_id": None,
        "rank": 3,
        "hostname": "node17",
        "error_type": None,
        "error_message": None,
        "error": None,
    }
    assert rows[1]["error_type"] == "ValueError"
    assert rows[1]["error_message"] == "too hot"
    assert rows[1]["error"].startswith("Traceback")


def test_the_ratio_of_completed_trials_counts_finished_ones_only(db, stored):
    session_of(db).ledger(stored.id).record([finished(0), finished(3), failed(1)], ())

    assert db.get_ratio_completed_trials_by_name("heat") == 2 / 6


def test_ids_are_given_in_trial_order(db, stored):
    ids = db.get_trials_ids_by_name("heat")

    assert ids == [trial.id for trial in stored]


def test_more_trials_than_one_page_come_in_order(db, monkeypatch):
    monkeypatch.setattr(records, "ROWS_AT_ONCE", 2)
    for name in ("before", "heat", "after"):
        session_of(db).experiments.enrol(experiment := heat(name))
        done = [finished(index) for index in (1, 2, 4, 5)]
        session_of(db).ledger(experiment.id).record(done, ())
    found = db.get_trials_by_name("heat")

    assert [trial.index for trial in found] == [0, 1, 2, 3, 4, 5]
    assert [trial.index for trial in found if trial.has_finished] == [1, 2, 4, 5]


@pytest.mark.parametrize("at_once", range(1, 8))
def test_ranges_of_unfinished_trials_do_not_end_where_a_page_does(
    db, stored, at_once, monkeypatch
):
    monkeypatch.setattr(gaps, "KEYS_AT_ONCE", at_once)
    for number in (0, 1, 4):
        db.complete_trial(stored.trial_ids[number], {})
    unfinished = session_of(db).trials.unfinished(stored.id)

    assert list(unfinished) == [range(2, 4), range(5, 6)]
    assert unfinished.size == 3


def test_unfinished_trials_are_given_as_ranges(db, stored):
    ledger = session_of(db).ledger(stored.id)

    def unfinished(**options):
        found = session_of(db).trials.unfinished(stored.id, **options)
        assert found.size == sum(map(len, found))
        assert bool(found) is bool(list(found))
        return list(found)

    assert unfinished() == [range(6)]
    ledger.record([finished(0), failed(2), finished(3)], ())

    assert unfinished() == [range(1, 3), range(4, 6)]
    assert unfinished(retry_failed=False) == [range(1, 2), range(4, 6)]
    assert unfinished(share=Share(1, 2)) == [range(2, 3), range(4, 5)]
    assert unfinished(share=Share(1, 2), retry_failed=False) == [range(4, 5)]
    ledger.record([finished(5), finished(1)], ())
    assert unfinished() == [range(2, 3), range(4, 5)]
    ledger.record([finished(index) for index in range(6)], ())
    assert unfinished() == []


def test_what_shows_trials_reads_no_values(db, stored):
    session_of(db).ledger(stored.id).record([finished(0), failed(1)], ())
    db.save_snapshot(stored.trial_ids[1], {"step": 1}, "half")
    run = session_of(db).runs.start(
        stored.id, {"mode": "MPIMode", "command_line": "python exp.py"}
    )
    session_of(db).runs.finish(run, "failed", session_of(db).trials.counts(stored.id))
    row = session_of(db).reports.trial(stored.trial_ids[1])

    assert (row["index"], row["experiment"], row["last_label"]) == (1, "heat", "half")
    assert row["command_line"] == "python exp.py"
    assert session_of(db).reports.failures("heat", 5) == [
        {"index": 1, "error_type": "ValueError", "error_message": "too hot"}
    ]
    assert [each["results"] for each in session_of(db).reports.trials("heat")][:2] == [
        '{"distance":0.0}',
        None,
    ]
    overview = session_of(db).reports.overview_of("heat")
    assert [overview] == session_of(db).reports.overview()
    assert overview["counts"] == session_of(db).trials.counts(stored.id)
    assert overview["last_run"]["ended"] == "failed"
    assert not overview["is_locked"]


def test_a_damaged_document_is_named(db, stored, tmp_path):
    session_of(db).ledger(stored.id).record([finished(1), finished(2)], ())
    plain = sqlite3.connect(tmp_path / "heat.db")
    plain.execute("UPDATE trial_records SET results = '{' WHERE key % 8 = 1")
    plain.execute(
        "UPDATE trial_records SET results = ? WHERE key % 8 = 2",
        ('{"a":{"$array":"' + "0" * 32 + '","dtype":"<f8","shape":[3]}}',),
    )
    plain.commit()
    plain.close()

    for index in (1, 2):
        with pytest.raises(
            CorruptDocumentError, match=f"results of trial {stored.trial_ids[index]}"
        ):
            db.get_trial(stored.trial_ids[index])
