"""The sweep that is killed over and over, and what its database must hold at the end.

Its trials go through snapshots, and each state follows from the one before, so that a
trial resumed from the wrong one, or from a damaged one, ends elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from experimenter_mpi import open_db

if TYPE_CHECKING:
    import random
    from pathlib import Path
    from uuid import UUID

    from experimenter_mpi.database.handle import ExperimentDatabase

NAME = "torture"
SCRIPT = """
import json
import numpy
from pathlib import Path
from experimenter_mpi import (
    Experiment, IterableVariable,
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

# It says what is asked for, in any order of the parameters.
study = json.loads(Path("study.json").read_text())
experiment = Experiment("torture", function=trial, configuration={
    name: IterableVariable(values) for name, values in study.items()
})
"""
# Without arrays, with some that live in the database, with some in files of their own.
STUDY = {"n": list(range(1, 9)), "cells": [0, 500, 140_000]}
TRIALS = 24
# Where the disk may be another machine's, a rollback journal takes the WAL's place.
ON_SHARED_DISK = """
from experimenter_mpi.database.file import filesystem
filesystem.is_local = lambda path: False
"""


# n and cells
Point: TypeAlias = tuple[int, int]


class Content(NamedTuple):
    """What is seen of a database: keys of what is durable, and what it says.

    ``finished`` is by the trial's point, ``snapshots`` by that and their label: trials
    have other numbers where the experiment was extended on another way.
    """

    finished: dict[Point, str]
    snapshots: dict[tuple[Point, str | None], str]


def any_study(rng: random.Random) -> dict[str, list[int]]:
    """Return what a script may ask for meanwhile: some values, in any order."""
    names = rng.sample(list(STUDY), len(STUDY))
    return {
        name: rng.sample(STUDY[name], rng.randint(1, len(STUDY[name])))
        for name in names
    }


def content(path: Path) -> Content:
    """Read it as a user does, arrays and all."""
    with open_db(path.name, path.parent, read_only=True) as database:
        return _content(database)


def _content(database: ExperimentDatabase) -> Content:
    seen = Content({}, {})
    ids: dict[Point, UUID] = {}
    for trial in database.get_trials_by_name(NAME, set_aside=True):
        point = trial.configuration["n"], trial.configuration["cells"]
        assert ids.setdefault(point, trial.id) == trial.id, f"{point} is there twice"
        if trial.has_finished:
            seen.finished[point] = fingerprint([trial.configuration, trial.results])
        for snapshot in database.get_snapshots(trial.id):
            key = point, snapshot.label
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
