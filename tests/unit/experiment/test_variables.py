"""Variables: finite lists of values with exact ends, or an error that names them."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    RepeatVariable,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=1e-300, max_value=1e300)
COUNTS = st.integers(1, 50)
LARGEST = 1.7976931348623157e308
RANGES = [LinearVariable, LogLinearVariable]
ITERABLES = [IterableVariable, MatchIterableVariable]


def exactly(values):
    """Return the values with their types: 1 and 1.0 are different parameters."""
    return [(type(value), value) for value in values]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (LinearVariable(0.0, 1.0, 5), (0.0, 0.25, 0.5, 0.75, 1.0)),
        (LinearVariable(1, 10, 10), tuple(map(float, range(1, 11)))),
        (LinearVariable(4, 12, 5), (4.0, 6.0, 8.0, 10.0, 12.0)),
        (LinearVariable(10, 1, 4), (10.0, 7.0, 4.0, 1.0)),
        (LinearVariable(0, 1, 3), (0.0, 0.5, 1.0)),
        (LinearVariable(-1.0, 1.0, 3), (-1.0, 0.0, 1.0)),
        (LinearVariable(2, 2, 3), (2.0, 2.0, 2.0)),
        (LinearVariable(0, 2 * 10**30, 3), (0.0, 1e30, 2e30)),
        (LogLinearVariable(1, 100, 3), (1.0, 10.0, 100.0)),
        (LogLinearVariable(1.0, 100.0, 3), (1.0, 10.0, 100.0)),
        (LogLinearVariable(100, 1, 3), (100.0, 10.0, 1.0)),
        (LogLinearVariable(1, 1024, 11), tuple(2.0**i for i in range(11))),
        (LogLinearVariable(0.001, 1000.0, 3), (0.001, 1.0, 1000.0)),
        (IntegerVariable(-1, 1), (-1, 0, 1)),
        (IntegerVariable(10, 50, 20), (10, 30, 50)),
        (IterableVariable(range(1, 3)), (1, 2)),
        (RepeatVariable("same", 3), ("same", "same", "same")),
        (IterableVariable(letter for letter in "abc"), ("a", "b", "c")),
        (MatchIterableVariable([1, None]), (1, None)),
    ],
    ids=repr,
)
def test_a_variable_takes_these_values(variable, expected):
    assert exactly(expected) == exactly(variable.values)


def test_steps_of_a_tenth_are_written_as_people_write_them():
    """Adding a step of 0.1 over and over would give 1.3000000000000003."""
    assert (1.0, 1.1, 1.2, 1.3, 1.4) == LinearVariable(1.0, 4.0, 31).values[:5]


def test_whole_powers_of_ten_are_exact():
    assert exactly(float(10**i) for i in range(16)) == exactly(
        LogLinearVariable(1, 10**15, 16).values
    )


def test_an_end_that_no_float_can_hold_is_the_nearest_one():
    assert exactly([0.0, float(2**59), float(2**60)]) == exactly(
        LinearVariable(0, 2**60 + 1, 3).values
    )


def test_where_one_power_is_not_whole_none_is_rounded():
    low, middle, high = LogLinearVariable(1, 10, 3).values

    assert (1, 10) == (low, high)
    assert math.isclose(math.sqrt(10), middle)


@given(low=FINITE, high=FINITE, n=COUNTS)
@example(low=-LARGEST, high=LARGEST, n=5)
@example(low=0.0, high=1e308, n=11)
def test_linear_values_go_from_end_to_end_without_leaving_them(low, high, n):
    values = LinearVariable(low, high, n).values

    assert n == len(values)
    assert (low, high if n > 1 else low) == (values[0], values[-1])
    assert list(values) == sorted(values, reverse=high < low)


@given(low=POSITIVE, high=POSITIVE, n=COUNTS)
def test_logarithmic_values_go_from_end_to_end_in_equal_factors(low, high, n):
    values = LogLinearVariable(low, high, n).values
    logarithms = [math.log10(value) for value in values]
    step = (math.log10(high) - math.log10(low)) / max(1, n - 1)

    assert n == len(values)
    assert (low, high if n > 1 else low) == (values[0], values[-1])
    assert all(
        math.isclose(math.log10(low) + i * step, logarithm, abs_tol=1e-9)
        for i, logarithm in enumerate(logarithms)
    )


@given(low=st.integers(), high=st.integers(), n=COUNTS)
@example(low=-(10**308), high=10**308, n=4)
@example(low=4, high=12, n=5)
@example(low=4, high=12, n=6)
def test_linear_values_are_floats_whatever_the_ends_are(low, high, n):
    assert {float} == {type(value) for value in LinearVariable(low, high, n).values}


@given(low=st.integers(1), high=st.integers(1), n=COUNTS)
@example(low=1, high=100, n=3)
@example(low=1, high=10, n=3)
def test_logarithmic_values_are_floats_whatever_the_ends_are(low, high, n):
    values = LogLinearVariable(low, high, n).values

    assert {float} == {type(value) for value in values}


@given(low=st.integers(-(2**53), 2**53), step=st.integers(0, 2**20), n=COUNTS)
def test_whole_steps_between_whole_ends_are_exact(low, step, n):
    """So that results are stored under numbers that people wrote."""
    high = low + step * (n - 1)

    assert [float(low + i * step) for i in range(n)] == [
        *LinearVariable(low, high, n).values
    ]


@given(low=st.integers(), step=st.integers(1), n=COUNTS)
@example(low=0, step=1, n=1)
def test_integer_values_are_those_of_a_range_with_both_ends(low, step, n):
    variable = IntegerVariable(low, low + step * (n - 1), step)

    assert exactly(low + i * step for i in range(n)) == exactly(variable.values)
    assert n == len(variable) == variable.n


def test_the_step_of_integers_is_one():
    assert (
        (3, 4, 5)
        == IntegerVariable(3, 5).values
        == IntegerVariable(3, np.int8(5)).values
    )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((1, 10, 4), r"IntegerVariable\(1, 10, 4\): .* lead to 9 and 13, not to 10"),
        ((3, 2), r"IntegerVariable\(3, 2\): max is below min"),
        ((1, 2, 0), "step must be 1 or more"),
        ((2, 1, -1), "step must be 1 or more"),
        ((1.0, 2), "min must be a whole number, not 1.0"),
        ((1, "2"), "max must be a whole number, not '2'"),
        ((1, 2, True), "step must be a whole number, not True"),
    ],
)
def test_integers_that_do_not_lead_from_end_to_end_are_refused(arguments, match):
    with pytest.raises(ConfigurationError, match=match):
        IntegerVariable(*arguments)


@pytest.mark.parametrize("kind", RANGES)
def test_one_value_is_the_lower_end(kind):
    assert exactly([3.0]) == exactly(kind(3, 9, 1).values)


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None, True, math.nan])
def test_a_count_that_is_no_whole_number_from_1_is_refused(kind, n):
    with pytest.raises(ConfigurationError, match=rf"^{kind.__name__}: n .* not {n!r}$"):
        kind(1, 2, n)


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", None, True])
def test_nothing_is_repeated_less_than_once(n):
    with pytest.raises(ConfigurationError, match="^RepeatVariable: n must be"):
        RepeatVariable("value", n)


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize(
    "bound", [math.nan, math.inf, -math.inf, "1", b"1", None, True, 1j, [1], 10**400]
)
def test_an_end_that_is_no_finite_number_is_refused_by_its_name(kind, bound):
    with pytest.raises(
        ConfigurationError, match=f"^{kind.__name__}: min must be a fin"
    ):
        kind(bound, 2, 3)
    with pytest.raises(
        ConfigurationError, match=f"^{kind.__name__}: max must be a fin"
    ):
        kind(1, bound, 3)


@pytest.mark.parametrize("bound", [0, -1, -0.5])
def test_a_logarithm_needs_positive_ends(bound):
    with pytest.raises(ConfigurationError, match="min must be positive, not"):
        LogLinearVariable(bound, 2, 3)
    with pytest.raises(ConfigurationError, match="max must be positive, not"):
        LogLinearVariable(1, bound, 3)


class DataFrame:
    """A table of pandas, polars or dask: iterating gives the names of its columns."""

    def __iter__(self):
        return iter(["x", "y"])


class Subclass(DataFrame):
    """As geopandas makes one."""


@pytest.mark.parametrize("kind", ITERABLES)
@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({3, 1}, r"got set, whose order .* between ranks; pass sorted\(\.\.\.\)"),
        (frozenset("ab"), "got frozenset, .* pass sorted"),
        ("adam", r"got str, not a list of values; pass \[\.\.\.\]"),
        (b"adam", "got bytes, not a list"),
        (DataFrame(), r"got DataFrame, .*; pass one of its columns, frame\['name'\]"),
        (Subclass(), "got Subclass, .* one of its columns"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_surely_not_meant_to_be_iterated_is_refused(kind, values, advice):
    with pytest.raises(ConfigurationError, match=f"^{kind.__name__}: .*{advice}"):
        kind(values)


@pytest.mark.parametrize("kind", ITERABLES)
def test_other_kinds_of_iterables_are_not(kind):
    for values in (
        [{1}],
        {"a": 1},
        {"a": 1}.keys(),
        np.arange(2),
        range(2),
        iter("ab"),
    ):
        assert kind(values).values


@pytest.mark.parametrize("kind", ITERABLES)
def test_what_cannot_be_iterated_is_refused_with_what_to_give(kind):
    with pytest.raises(
        ConfigurationError, match=rf"^{kind.__name__}: 5 .* list of val"
    ):
        kind(5)


@pytest.mark.parametrize("kind", ITERABLES)
def test_no_values_would_be_no_trials(kind):
    with pytest.raises(ConfigurationError, match=f"^{kind.__name__}: no values"):
        kind([])


@pytest.mark.parametrize("kind", ITERABLES)
def test_an_iterable_is_read_once_when_the_variable_is_made(kind):
    entries = [1, 2]
    variable = kind(entries)
    entries.append(3)

    assert (1, 2) == variable.values == variable.values


def test_numbers_of_numpy_become_plain_ones():
    """A configuration is stored as JSON, and must not need numpy to be read."""
    variable = LinearVariable(np.int64(1), np.float32(2.5), np.uint8(2))

    assert exactly([1.0, 2.5]) == exactly(variable.values)
    assert (int, float, int) == (
        type(variable.min),
        type(variable.max),
        type(variable.n),
    )


def test_a_fraction_is_a_number_too():
    assert (0.5, 1.0) == LinearVariable(Fraction(1, 2), 1.0, 2).values


@pytest.mark.parametrize(
    "variable",
    [
        LinearVariable(1, 2, 3),
        LogLinearVariable(1, 100, 3),
        RepeatVariable([1], 2),
        IterableVariable([*"abc"]),
        MatchIterableVariable([1, 2]),
    ],
    ids=repr,
)
def test_a_variable_survives_the_way_to_another_rank(variable):
    assert variable == pickle.loads(pickle.dumps(variable))


@pytest.mark.parametrize(
    "variable",
    [LinearVariable(1, 2, 7), RepeatVariable(0, 7), IterableVariable(["a"] * 7)],
)
def test_its_length_is_the_number_of_its_values(variable):
    assert 7 == len(variable)


def test_a_variable_does_not_change():
    with pytest.raises(AttributeError):
        LinearVariable(1, 2, 3).n = 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LinearVariable(1, 100, 3), LogLinearVariable(1, 100, 3)),
        (LinearVariable(1, 100, 3), LinearVariable(1, 100, 4)),
        (LinearVariable(1, 100, 3), (1, 100, 3)),
        (IterableVariable([1, 2]), MatchIterableVariable([1, 2])),
    ],
)
def test_variables_of_other_kinds_or_arguments_are_not_equal(one, other):
    assert one != other


def test_equal_variables_have_equal_hashes():
    assert 1 == len({LinearVariable(1, 2, 3), LinearVariable(1, 2, 3)})


def test_a_variable_is_shown_as_it_is_written():
    assert "LinearVariable(1, 2, 3)" == repr(LinearVariable(1, 2, 3))
    assert "RepeatVariable('a', 2)" == repr(RepeatVariable("a", 2))
