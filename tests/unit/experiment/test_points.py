"""Points: which configurations are the same."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.experiment.blocks import Grid, Table
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.points import digests, essence, text
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    MatchIterableVariable,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (4, 4.0),
        (-0.0, 0),
        (2**70, float(2**70)),
        (np.float64(0.1), 0.1),
        (NAN, math.nan),
        ({"a": 1, "b": [NAN]}, {"b": [NAN], "a": 1.0}),
        ({1, 2, 10}, {10.0, 2, 1}),
        ({1: "a", 2: "b"}, {2: "b", 1: "a"}),
        (np.arange(3), np.arange(3)),
        (float("inf"), np.inf),
    ],
)
def test_values_that_are_the_same(one, other):
    assert text(one) == text(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        ("1", 1),
        (None, NAN),
        ([1, 2], [2, 1]),
        ([1], (1,)),
        (2**53, 2**53 + 1),
        (np.arange(3), np.arange(4)),
        (np.arange(3.0), np.arange(3)),
        ({"a": 1}, {"a": 1, "b": None}),
        (uuid.UUID(int=1), uuid.UUID(int=2)),
    ],
)
def test_values_that_are_not(one, other):
    assert text(one) != text(other)


KEYS = st.sampled_from(["a", "b", "%s", "$set", "é", "a.b"])
LEAVES = st.sampled_from([1, 2.0, "%d", True, NAN, {"y": 1, "x": 2}, {}, [1]])
CONFIGURATIONS = st.dictionaries(
    KEYS,
    LEAVES
    | st.lists(LEAVES, min_size=1, max_size=3).map(IterableVariable)
    | st.dictionaries(KEYS, st.just(IntegerVariable(1, 2)) | LEAVES, max_size=2),
    max_size=3,
)


@settings(deadline=None)
@given(CONFIGURATIONS)
def test_a_grid_has_the_points_that_its_trials_make_one_by_one(configuration):
    grid = Grid(Expansion(configuration))

    table = Table(grid[k] for k in range(grid.size))

    assert list(digests(grid)) == list(digests(table))
    whole, rows = essence(grid, {"c": 1}), essence(table, {"c": 1})
    assert list(digests(whole)) == list(digests(rows))


def test_matched_values_belong_to_the_points():
    grid = Grid(
        Expansion(
            {
                "m": MatchIterableVariable([1, 2, 3, 4]),
                "x": IntegerVariable(1, 2),
                "n": MatchIterableVariable([*"abcd"]),
                "y": IntegerVariable(1, 2),
            }
        )
    )

    table = Table(grid[k] for k in range(grid.size))

    assert list(digests(grid)) == list(digests(table))
