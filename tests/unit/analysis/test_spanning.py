"""Which parameters span a grid, whatever the experiment was made of."""

from __future__ import annotations

import math
from itertools import product

import pytest

from experimenter_mpi.analysis.spanning import REPETITION, find_grid


def columns(points, *names):
    return {
        name: list(values)
        for name, values in zip(names, zip(*points, strict=True), strict=True)
    }


def test_a_product_is_spanned_by_its_parameters():
    points = [(T, h, "x") for T, h in product([1.0, 2.0, 3.0], [5, 4])]
    found = find_grid(columns(points, "T", "h", "solver"), 6)

    assert {"T": [1.0, 2.0, 3.0], "h": [5, 4]} == found.axes
    assert [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)] == found.places
    assert {"solver": "x"} == found.constants and (3, 2) == found.shape


def test_the_order_of_trials_does_not_matter():
    """A study that has grown has its new points at the end."""
    points = [(1, "a"), (2, "b"), (2, "a"), (1, "b")]
    found = find_grid(columns(points, "n", "kind"), 4)

    assert [(0, 0), (1, 1), (1, 0), (0, 1)] == found.places


def test_equal_points_are_repetitions():
    points = [(n,) for n in (1, 2, 1, 2, 2, 1)]
    found = find_grid(columns(points, "n"), 6)

    assert {"n": [1, 2], REPETITION: [0, 1, 2]} == found.axes
    assert [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (0, 2)] == found.places


def test_parameters_that_move_together_are_one_dimension():
    points = [(T, 10 * T, s) for T, s in product([1, 2, 3], [0, 1])]
    found = find_grid(columns(points, "T", "tenfold", "s"), 6)

    assert ["T", "s"] == list(found.axes) and ["tenfold"] == found.others


@pytest.mark.parametrize(
    "points",
    [
        [(1, 1), (1, 2), (2, 1)],
        [(1, 1), (1, 2), (2, 1), (2, 2), (2, 2)],
        [(x, math.sin(x) if x % 2 else 0.0) for x in range(5)] + [(0, 7.0)],
    ],
    ids=["a hole", "one more of one point", "scattered"],
)
def test_anything_else_is_no_grid(points):
    assert find_grid(columns(points, "a", "b"), len(points)) is None


def test_values_of_any_type_span_a_grid():
    values = [math.nan, None, True, 1, "1", [1, 2], {"a": [1]}, (1, 2)]
    points = [(value, n) for value in values for n in range(2)]
    found = find_grid(columns(points, "value", "n"), len(points))

    assert [*map(repr, values)] == [*map(repr, found.axes["value"])]


def test_one_trial_is_a_grid_without_dimensions():
    found = find_grid({"a": [1], "b": [2]}, 1)

    assert ({}, {"a": 1, "b": 2}, ()) == (found.axes, found.constants, found.shape)
