"""Snapshots and their arrays, from a database where the experiment has another id."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from experimenter_mpi.database.handle import session_of
from unit.database.making import heat

BIG = np.arange(200_000.0)


def dump(path):
    plain = sqlite3.connect(path)
    lines = list(plain.iterdump())
    plain.close()
    return lines


@pytest.fixture
def merged(db, stored, open_here, tmp_path):
    """Ours, after theirs was merged into it and then deleted with its files."""
    db.save_snapshot(stored.trial_ids[2], {"big": BIG, "small": np.arange(3)}, "end")
    ours = open_here("ours.db")
    session_of(ours).experiments.enrol(heat())
    ours.merge_databases(db)
    before = dump(tmp_path / "ours.db")
    ours.merge_databases(db)
    assert dump(tmp_path / "ours.db") == before
    db.delete_experiment(stored.id)
    return ours


def test_arrays_of_a_merged_snapshot_are_read_under_our_trial(merged, stored):
    trial = merged.get_trials_by_name("heat")[2]
    assert trial.id != stored.trial_ids[2]
    latest = merged.latest_snapshot(trial.id)

    assert (latest.trial_id, latest.label) == (trial.id, "end")
    assert np.array_equal(latest.state["big"], BIG)
    assert latest.state["small"].tolist() == [0, 1, 2]


def test_a_sweep_keeps_the_files_of_merged_snapshots(merged):
    assert session_of(merged).sweep_leftovers() == 0
