"""Large arrays are read when somebody looks at them; all else is as in a plain dict."""

from __future__ import annotations

import copy
import gc
import pickle

import h5py
import numpy as np
import pytest

from experimenter_mpi import (
    ConfigurationError,
    CorruptDocumentError,
    DatabaseError,
    Experiment,
    IntegerVariable,
    SerialMode,
    StoredArray,
    TrialNotFinishedError,
    array_path,
    complete_trial,
    execute,
    get_trials_by_name,
    get_trials_ids_by_name,
    open_array,
)

LARGE = np.arange(200_000.0).reshape(400, 500)


def heat(configuration, trial_id):
    n = configuration["n"]
    if n == 3:
        raise ValueError(n)
    return {
        "n": n,
        "field": LARGE + n,
        "small": np.arange(3),
        "final": {"spins": LARGE - n, "steps": 7},
        "frames": [LARGE, 1],
        "pair": (LARGE, "x"),
        "a.b": LARGE,
    }


@pytest.fixture
def db(open_here):
    database = open_here()
    made = Experiment("heat", function=heat, configuration={"n": IntegerVariable(1, 3)})
    execute(made, database, SerialMode())
    return database


@pytest.fixture
def trial(db):
    return get_trials_by_name(db, "heat")[0]


@pytest.fixture
def reads(monkeypatch):
    """Count the arrays that are read."""
    seen = []
    read = StoredArray.read

    def counting(array):
        seen.append(array.id)
        return read(array)

    monkeypatch.setattr(StoredArray, "read", counting)
    return seen


def test_only_what_is_looked_at_is_read(db, reads):
    trials = get_trials_by_name(db, "heat")
    results = trials[0].results

    assert (1, [0, 1, 2], 7) == (
        results["n"],
        results["small"].tolist(),
        results["final"]["steps"],
    )
    assert "field" in results and 7 == len(results) and "field" in repr(results)
    assert [] == reads
    assert np.array_equal(LARGE + 1, results["field"]) and 1 == len(reads)
    assert np.array_equal(LARGE - 1, results["final"]["spins"]) and 2 == len(reads)


def test_an_array_is_read_once_while_somebody_holds_it(trial, reads):
    held = trial.results["field"]
    held[0, 0] = -1

    assert trial.results["field"] is held and 1 == len(reads)
    del held
    gc.collect()
    assert 1.0 == trial.results["field"][0, 0] and 2 == len(reads)


SEEN = {
    "dict": dict,
    "keys and values": lambda results: dict(
        zip(results.keys(), results.values(), strict=True)
    ),
    "items": lambda results: dict(list(results.items())),
    "stars": lambda results: {**results},
    "or": lambda results: results | {},
    "reversed or": lambda results: {} | results,
    "get": lambda results: {key: results.get(key) for key in results},
    "update": lambda results: (made := {}, made.update(results))[0],
    "copy": lambda results: results.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda results: pickle.loads(pickle.dumps(results)),
    "popitem": lambda results: dict(
        reversed(
            [(made := results.copy()) and made.popitem()]
            + [made.popitem() for _ in range(6)]
        )
    ),
    "pop": lambda results: {key: results.copy().pop(key) for key in results},
    "setdefault": lambda results: {key: results.setdefault(key, 0) for key in results},
}


@pytest.mark.parametrize("way", SEEN)
def test_every_way_to_look_shows_the_same(trial, way):
    seen = SEEN[way](trial.results)

    assert ["n", "field", "small", "final", "frames", "pair", "a.b"] == list(seen)
    for key, n in (("field", 1), ("a.b", 0)):
        assert np.array_equal(LARGE + n, seen[key])
    assert np.array_equal(LARGE - 1, seen["final"]["spins"])
    assert np.array_equal(LARGE, seen["frames"][0]) and type(seen["frames"]) is list
    assert np.array_equal(LARGE, seen["pair"][0]) and type(seen["pair"]) is tuple


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_what_leaves_is_a_plain_dict(trial, way):
    assert type(way(trial.results)) is dict


def test_it_can_be_changed_as_a_dict(trial):
    results = trial.results
    results["field"] = 3
    results["new"] = 4
    del results["small"]
    results |= {"n": 5}

    assert (3, 4, 5, False) == (
        results["field"],
        results["new"],
        results["n"],
        "small" in results,
    )
    assert "none" == results.pop("small", "none")
    with pytest.raises(KeyError):
        results.pop("small")
    with pytest.raises(KeyError):
        results["never"]


def test_it_equals_what_it_holds(db):
    """Of arrays numpy compares, and with more than one number nobody can say."""
    ids = get_trials_ids_by_name(db, "heat")
    complete_trial(db, ids[0], {"a": 1, "large": LARGE})
    one, other = (get_trials_by_name(db, "heat")[0].results for _ in range(2))
    for results in (one, other):
        results.pop("large")

    assert one == other == {"a": 1} and {"a": 1} == one and one != {"a": 2}


def test_results_can_be_stored_again(db, trial):
    ids = get_trials_ids_by_name(db, "heat")
    complete_trial(db, ids[2], trial.results)

    again = get_trials_by_name(db, "heat")[2].results
    assert np.array_equal(LARGE + 1, again["field"])
    assert np.array_equal(LARGE - 1, again["final"]["spins"])


def test_arrays_can_be_read_when_the_database_is_closed(db):
    trial = get_trials_by_name(db, "heat")[0]
    db.close()

    assert np.array_equal(LARGE + 1, trial.results["field"])
    assert [0, 1, 2] == trial.results["small"].tolist()


def test_results_without_large_arrays_are_a_plain_dict(db):
    ids = get_trials_ids_by_name(db, "heat")
    complete_trial(db, ids[0], {"a": 1, "small": np.arange(3)})

    assert type(get_trials_by_name(db, "heat")[0].results) is dict


def test_a_missing_file_is_named_when_it_is_needed(db, trial):
    import os

    os.unlink(array_path(trial, "field"))

    assert 1 == trial.results["n"]
    with pytest.raises(CorruptDocumentError, match="is missing"):
        trial.results["field"]


@pytest.mark.parametrize("field", ["field", "final.spins", "a.b"])
def test_the_file_of_an_array_can_be_opened(trial, field):
    with h5py.File(array_path(trial, field), "r") as file:
        assert any(LARGE.shape == dataset.shape for dataset in file.values())


def test_a_part_of_an_array_can_be_read(trial, reads):
    with open_array(trial, "final.spins") as spins:
        assert (400, 500) == spins.shape
        assert np.array_equal(LARGE[:2, 5:7] - 1, spins[:2, 5:7])
        with pytest.raises((OSError, RuntimeError, ValueError, TypeError)):
            spins[0, 0] = 1

    assert [] == reads


@pytest.mark.parametrize(
    ("field", "error", "says"),
    [
        ("never", ConfigurationError, "has no array 'never'"),
        ("n", ConfigurationError, "has no array 'n'"),
        ("final.never", ConfigurationError, "has no array 'final.never'"),
        ("n.never", ConfigurationError, "has no array 'n.never'"),
        ("small", DatabaseError, "up to 1 MiB"),
    ],
)
@pytest.mark.parametrize("ask", [array_path, lambda t, f: open_array(t, f).__enter__()])
def test_what_is_in_no_file_is_said(trial, field, error, says, ask):
    with pytest.raises(error, match=says):
        ask(trial, field)


def test_a_trial_without_results_has_no_arrays(db):
    with pytest.raises(TrialNotFinishedError):
        array_path(get_trials_by_name(db, "heat")[2], "field")


def test_large_arrays_of_a_configuration_are_arrays(open_here):
    database = open_here("fields.db")
    points = {"n": 1, "field": LARGE}
    made = Experiment("fields", function=lambda c, i: {}, configuration=points)
    execute(made, database, SerialMode())
    (trial,) = get_trials_by_name(database, "fields")

    assert type(trial.configuration["field"]) is np.ndarray
    assert np.array_equal(LARGE, trial.configuration["field"])
