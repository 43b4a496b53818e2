"""Variables of a stranger's database are checked before anything is made of them."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import suppress

import pytest

from experimenter_mpi import Experiment, IntegerVariable, execute
from experimenter_mpi.errors import ExperimenterError

GOOD = {
    "ZippedVariable": {"names": ["b"], "iter": [1, 2]},
    "SampledVariable": {"names": ["b"], "design": "d", "iter": [1, 2]},
    "ListedVariable": {"names": ["b"], "iter": [1, 2]},
    "DerivedVariable": {"source": "s", "of": [["a"]], "iter": [1, 2, 3]},
    "KeptVariable": {
        "where": "w",
        "paths": [["b"]],
        "variable": {"$IntegerVariable": {"min": 1, "max": 2, "step": 1}},
        "stride": 1,
        "kept": [[0, 2]],
    },
}
BAD = [3, None, "x", [], [1], {}, {"a": 1}, [[1]], [["a"]], [["a"], ["b"]], -1, 1.5]


def experiment():
    """Make one of three trials that do nothing."""
    configuration = {"a": IntegerVariable(1, 3), "b": 1}
    return Experiment("heat", configuration=configuration, function=lambda *_: {})


def altered(arguments):
    """Yield arguments with one that is another, lacking or too much."""
    yield from BAD
    for key, value in itertools.product(arguments, BAD):
        yield {**arguments, key: value}
    for key in arguments:
        yield {name: arguments[name] for name in arguments if name != key}
    yield {**arguments, "more": 1}


@pytest.mark.parametrize("tag", GOOD)
def test_whatever_a_variable_says_is_an_error_or_has_trials(tag, open_here, tmp_path):
    with open_here() as db:
        execute(experiment(), db)
    path = tmp_path / "heat.db"
    for arguments in altered(GOOD[tag]):
        document = {"a": {"$IntegerVariable": {"min": 1, "max": 3, "step": 1}}}
        document["b"] = {f"${tag}": arguments}
        plain = sqlite3.connect(path)
        with plain:
            plain.execute(
                "UPDATE experiments SET configuration = ?", [json.dumps(document)]
            )
        plain.close()
        with open_here(read_only=True) as db:
            look_at(db)


def look_at(db):
    with suppress(ExperimenterError):
        experiment = db.get_experiment_by_name("heat")
        assert all("a" in trial.configuration for trial in experiment)
