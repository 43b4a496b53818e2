"""Snapshots: the latest is the one saved last, whatever the clock says."""

from __future__ import annotations

import numpy as np
import pytest

import experimenter_mpi as em
from experimenter_mpi.database.file import timestamps
from experimenter_mpi.database.handle import session_of
from unit.database.making import heat


def test_snapshots_come_newest_first_with_their_labels(any_db):
    experiment = heat()
    session_of(any_db).experiments.enrol(experiment)
    trial_id = experiment.trial_ids[3]
    for step in range(3):
        em.save_snapshot(any_db, trial_id, {"step": step}, f"at {step}")

    assert [
        (each.state["step"], each.label) for each in any_db.get_snapshots(trial_id)
    ] == [(2, "at 2"), (1, "at 1"), (0, "at 0")]
    assert any_db.latest_snapshot(trial_id).trial_id == trial_id


def test_a_trial_without_snapshots_has_none(db, stored):
    assert db.latest_snapshot(stored.trial_ids[0]) is None
    assert db.get_snapshots(stored.trial_ids[0]) == []


def test_the_latest_is_decided_without_a_clock(db, stored, monkeypatch):
    """The ancestor confused two snapshots of one second; here time even runs back."""
    seconds = iter(range(59, 0, -1))
    monkeypatch.setattr(
        timestamps, "now", lambda: f"2026-01-01T00:00:{next(seconds):02d}+00:00"
    )
    for step in (1, 2):
        db.save_snapshot(stored.trial_ids[0], {"step": step})

    assert db.latest_snapshot(stored.trial_ids[0]).state == {"step": 2}


@pytest.mark.parametrize("size", [10, 400_000])
def test_arrays_of_a_state_come_back(any_db, size):
    experiment = heat()
    session_of(any_db).experiments.enrol(experiment)
    spins = np.arange(size, dtype=">i4")
    any_db.save_snapshot(experiment.trial_ids[0], {"spins": spins, "rng": None})
    again = any_db.latest_snapshot(experiment.trial_ids[0]).state["spins"]

    assert again.dtype == spins.dtype and np.array_equal(again, spins)
    again[0] = 7  # one's own, to go on computing with


def test_a_pickled_state_warns_and_is_named_when_it_is_refused(db, stored):
    with pytest.warns(em.PickledValueWarning, match="'model'"):
        db.save_snapshot(stored.trial_ids[0], {"model": object()})

    with pytest.raises(em.PickleRefusedError, match="state of snapshot .* of trial"):
        db.latest_snapshot(stored.trial_ids[0])


def test_a_label_that_is_no_unicode_is_kept_readably(db, stored):
    db.save_snapshot(stored.trial_ids[0], {}, "caf\udce9")

    assert db.latest_snapshot(stored.trial_ids[0]).label == "caf\\udce9"


def test_a_label_that_is_no_text_is_refused_before_anything_is_stored(db, stored):
    with pytest.raises(
        em.errors.EncodingError, match="label must be a string, not int"
    ):
        db.save_snapshot(stored.trial_ids[0], {}, 3)

    assert db.latest_snapshot(stored.trial_ids[0]) is None
