"""Which points of a product are trials: those that a function keeps, in their order."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.derived import Derived
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.filters import KeptVariable
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    MatchIterableVariable,
)
from experimenter_mpi.experiment.zipped import zipped
from unit.experiment.test_derived import Counted, encode, restored


def points(configuration, where):
    """Return the trials: each alone, as texts and from a database."""
    expansion = Expansion(configuration, where)
    found = [expansion[index] for index in range(expansion.size)]
    again = restored(expansion)

    assert [encode(point) for point in found] == list(expansion.documents(encode))
    assert found == [again[index] for index in range(again.size)]
    whole = Expansion(configuration)
    all_points = [whole[index] for index in range(whole.size)]
    assert [point for point in all_points if where(point)] == found
    return found


GRID = {
    "a": IntegerVariable(1, 3),
    "b": IntegerVariable(1, 3),
    "inner": {"c": IterableVariable(["x", "y", "z"]), "k": 2},
    "d": IntegerVariable(1, 2),
}


@pytest.mark.parametrize(
    "where",
    [
        lambda c: c["a"] < c["b"],
        lambda c: c["a"] != 2,
        lambda c: c["inner"]["c"] != "y" or c["d"] == 1,
        lambda c: (c["a"] + c["d"]) % 2,
        lambda c: c["inner"]["k"] == 2,
        lambda c: sum(map(str(c).count, "13")) > 1,
        lambda c: c["b"] if c["a"] == 1 else c["d"] == 2,
    ],
)
def test_what_it_keeps_are_the_trials(where):
    assert points(GRID, where)


def test_it_is_called_for_what_it_looks_at_and_not_before():
    small = Counted(lambda c: c["a"] < 3)
    grid = {"a": IntegerVariable(1, 5), "b": IntegerVariable(1, 1000)}
    expansion = Expansion(grid, small)
    assert not small.calls

    assert 2000 == expansion.size
    assert 6 >= len(small.calls)
    assert ["a"] == [axis.path[-1] for axis in expansion.axes if len(axis.values) == 2]


def test_it_goes_with_all_other_kinds():
    found = points(
        {
            **zipped(T=[1, 2, 3], h=[3, 2, 1]),
            "n": IntegerVariable(0, 1),
            "label": MatchIterableVariable(list("abcdef")),
            "sum": Derived(lambda c: c["T"] + c["n"]),
        },
        lambda c: c["sum"] > 1 and c["label"] != "e",
    )

    assert ["b", "c", "d", "f"] == [each["label"] for each in found]


def test_what_is_derived_may_be_looked_at():
    derived = {**GRID, "inner2": {"e": Derived(lambda c: c["a"] * c["d"])}}

    assert points(derived, lambda c: c["inner2"]["e"] in (2, 6))


def test_nothing_left_is_an_error():
    expansion = Expansion(GRID, lambda c: c["a"] > 3)
    with pytest.raises(ConfigurationError, match="where= keeps none of the 54 trials"):
        expansion.size  # noqa: B018


def test_a_function_that_fails_names_the_trial():
    expansion = Expansion(GRID, lambda c: c["missing"])
    with pytest.raises(
        ConfigurationError, match="where= failed for trial 0: KeyError: 'missing'"
    ):
        expansion[0]


def test_an_experiment_takes_it():
    experiment = Experiment(
        "e", function=len, configuration=GRID, where=lambda c: c["d"] == 1
    )

    assert 27 == len(experiment)
    assert {1} == {trial.configuration["d"] for trial in experiment}
    with pytest.raises(ConfigurationError, match="where must be a function"):
        Experiment("e", function=len, configuration=GRID, where="a < 3")


def test_the_document_has_ranges_and_the_text():
    grid = {"a": IntegerVariable(1, 4), "b": IntegerVariable(1, 2)}
    expansion = Expansion(grid, lambda c: c["a"] != 2)
    stored = json.loads(encode(expansion.configuration))

    assert {
        "where": 'lambda c: c["a"] != 2',
        "paths": [["a"]],
        "variable": {"$IntegerVariable": {"min": 1, "max": 4, "step": 1}},
        "stride": 1,
        "kept": [[0, 1], [2, 4]],
    } == stored["a"]["$KeptVariable"]
    assert "$IntegerVariable" in stored["b"]
    assert '<IntegerVariable(1, 4) where lambda c: c["a"] != 2>' == repr(
        expansion.configuration["a"]
    )


@pytest.mark.parametrize(
    ("stride", "kept"),
    [
        (0, [[0, 1]]),
        (1, []),
        (1, [[1, 1]]),
        (1, [[0, 2], [1, 3]]),
        (1, [[-1, 1]]),
        (1, [[0, 1, 2]]),
        (1, [[0.0, 1]]),
    ],
)
def test_ranges_that_are_none_are_refused(stride, kept):
    """As a database may have them."""
    with pytest.raises(ConfigurationError, match="points that `where` keeps are not"):
        KeptVariable("", [["a"]], IntegerVariable(1, 4), stride, kept)


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    looks_at=st.sets(st.integers(0, 3), min_size=1),
    modulus=st.integers(1, 3),
)
def test_it_is_the_product_with_holes(lengths, looks_at, modulus):
    grid = {f"a{i}": IterableVariable(range(n)) for i, n in enumerate(lengths)}
    names = [name for i, name in enumerate(grid) if i in looks_at]

    points(grid, lambda c: sum(c[name] for name in names) % modulus == 0)
