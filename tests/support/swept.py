"""The sweep that is killed over and over, and what its database must hold at the end.

Its trials go through snapshots, and each state follows from the one before, so that a
trial resumed from the wrong one, or from a damaged one, ends elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experimenter_mpi import open_db

if TYPE_CHECKING:
    from pathlib import Path

    from experimenter_mpi.database.handle import ExperimentDatabase

NAME = "torture"
SCRIPT = """
import numpy
from experimenter_mpi import (
    Experiment, IterableVariable, IntegerVariable,
    get_latest_snapshot_from_global_database, save_snapshot_in_global_database,
)

STEPS = 3

def trial(configuration, trial_id):
    n, cells = configuration["n"], configuration["cells"]
    if cells == 0:
        return {"n": n, "square": n * n}
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    start = {"step": 0, "field": numpy.full(cells, float(n)), "sums": []}
    state = snapshot.state if snapshot else start
    while state["step"] < STEPS:
        step = state["step"] + 1
        field = (state["field"] * 3 + numpy.arange(cells) + step) % 1009
        state = {"step": step, "field": field, "sums": [*state["sums"], field.sum()]}
        save_snapshot_in_global_database(trial_id, state, f"step {step}")
    field = state["field"]
    return {"n": n, "sums": state["sums"], "field": field[::-1], "few": field[:n + 9]}

# Without arrays, with some that live in the database, with some in files of their own.
experiment = Experiment("torture", function=trial, configuration={
    "n": IntegerVariable(1, 8), "cells": IterableVariable([0, 500, 140_000]),
})
"""
TRIALS = 24
# Where the disk may be another machine's, a rollback journal takes the WAL's place.
ON_SHARED_DISK = """
from experimenter_mpi.database.file import filesystem
filesystem.is_local = lambda path: False
"""


class Content(NamedTuple):
    """What is seen of a database: keys of what is durable, and what it says.

    ``finished`` is by trial index, ``snapshots`` by trial index and label.
    """

    finished: dict[int, str]
    snapshots: dict[tuple[int, str | None], str]


def content(path: Path) -> Content:
    """Read it as a user does, arrays and all."""
    with open_db(path.name, path.parent, read_only=True) as database:
        return _content(database)


def _content(database: ExperimentDatabase) -> Content:
    seen = Content({}, {})
    for index, trial in enumerate(database.get_trials_by_name(NAME)):
        if trial.has_finished:
            seen.finished[index] = fingerprint([trial.configuration, trial.results])
        for snapshot in database.get_snapshots(trial.id):
            key = index, snapshot.label
            assert key not in seen.snapshots, f"snapshot {key} was saved twice"
            seen.snapshots[key] = fingerprint(snapshot.state)
    return seen


def fingerprint(value: Any) -> str:
    """Return a text that is equal for equal values only, arrays with type and shape."""
    text = json.dumps(value, default=_array, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _array(value: Any) -> Any:
    assert isinstance(value, np.ndarray)
    return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()
