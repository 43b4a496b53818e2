"""Extending: which points are new, and which trials there are already.

What is asked for is a multiset of configurations, which is what the tests count.
"""

from __future__ import annotations

from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.experiment import extension
from experimenter_mpi.experiment.assumption import filled
from experimenter_mpi.experiment.blocks import Blocks, Grid, Table
from experimenter_mpi.experiment.derived import Derived
from experimenter_mpi.experiment.extension import derived_otherwise, extended
from experimenter_mpi.experiment.factors import NotComparableError
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.points import text
from experimenter_mpi.experiment.ranges import Numbers
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    MatchIterableVariable,
    RepeatVariable,
)
from experimenter_mpi.experiment.zipped import zipped


def blocks_of(*configurations):
    return Blocks(Grid(Expansion(each)) for each in configurations)


def extend(blocks, configuration, **assume):
    """Return the blocks then, and the numbers that are asked for."""
    found = extended(blocks, Expansion(configuration), assume)
    after = blocks if found.new is None else blocks.followed_by(found.new)
    return after, found.asked(blocks.size)


def points(blocks, numbers, assume=None):
    return Counter(text(filled(blocks[each], assume or {})) for each in numbers)


def wanted(configuration, assume=None):
    return points(
        blocks_of(configuration), range(Expansion(configuration).size), assume
    )


def by_points(blocks, configuration, **assume):
    with mock.patch.object(extension, "_by_axes", side_effect=NotComparableError):
        return extend(blocks, configuration, **assume)


VALUES = st.one_of(
    st.integers(0, 3).map(lambda n: IntegerVariable(0, n)),
    st.lists(
        st.sampled_from([0, 1, 2.0, 3, True, "a", None]), min_size=1, max_size=4
    ).map(IterableVariable),
    st.integers(1, 3).map(lambda n: RepeatVariable("again", n)),
    st.integers(1, 4).map(lambda n: LinearVariable(0, 3, n)),
    st.sampled_from([0, 1, 2, {"x": 1}, {"x": IntegerVariable(1, 2)}]),
)
CONFIGURATIONS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@settings(deadline=None)
@given(st.lists(CONFIGURATIONS, min_size=1, max_size=5))
def test_what_is_asked_for_is_there_and_nothing_twice(configurations):
    """However often and in whatever way an experiment is extended."""
    blocks, stored = Blocks([]), Counter()
    for configuration in configurations:
        blocks, asked = extend(blocks, configuration)
        stored |= wanted(configuration)  # the larger count of each

        assert points(blocks, asked) == wanted(configuration)
        assert points(blocks, range(blocks.size)) == stored


@settings(deadline=None)
@given(st.lists(CONFIGURATIONS, min_size=1, max_size=4))
def test_axes_tell_the_same_as_points(configurations):
    blocks = Blocks([])
    for configuration in configurations:
        after, asked = extend(blocks, configuration)
        slowly, same = by_points(blocks, configuration)

        assert same == asked
        assert points(slowly, range(blocks.size, slowly.size)) == points(
            after, range(blocks.size, after.size)
        )
        blocks = after


@settings(deadline=None)
@given(CONFIGURATIONS, CONFIGURATIONS, st.sampled_from([0, 1, "a"]))
def test_what_is_assumed_holds_for_trials_without_the_parameter(old, new, value):
    blocks, asked = extend(blocks_of(old), new, b=value)
    slowly, same = by_points(blocks_of(old), new, b=value)

    assert points(blocks, asked, {"b": value}) == wanted(new, {"b": value})
    assert (same, slowly.size) == (asked, blocks.size)


OLD = {"x": IntegerVariable(1, 4), "y": IterableVariable([*"ab"]), "z": 7}


def numbers(configuration, old=OLD, **assume):
    """Return the trials asked for, where those from 8 on are new."""
    blocks, asked = extend(blocks_of(old), configuration, **assume)
    assert points(blocks, asked, assume) == wanted(configuration, assume)
    return list(asked)


def test_a_value_more_is_some_trials_more():
    asked = numbers({**OLD, "x": IntegerVariable(1, 5)})

    assert asked == list(range(10))


def test_a_value_less_sets_trials_aside():
    assert numbers({**OLD, "y": "b"}) == [1, 3, 5, 7]


def test_what_was_set_aside_comes_back_with_its_number():
    blocks = blocks_of(OLD)
    smaller, _ = extend(blocks, {**OLD, "x": IntegerVariable(3, 4)})

    again, asked = extend(smaller, OLD)

    assert (again.size, list(asked)) == (8, list(range(8)))


@pytest.mark.parametrize(
    "configuration",
    [
        {"z": 7.0, "y": IterableVariable([*"ab"]), "x": LinearVariable(1, 4, 4)},
        {"y": IterableVariable([*"ba"]), "x": IterableVariable([4, 2, 3, 1]), "z": 7},
        {**OLD, "z": IterableVariable([np.int64(7)])},
    ],
)
def test_another_way_to_say_the_same_changes_nothing(configuration):
    assert extended(blocks_of(OLD), Expansion(configuration)).new is None
    assert numbers(configuration) == list(range(8))


def test_five_more_repetitions_are_five_more_trials():
    old = {"r": RepeatVariable(None, 20)}

    assert numbers({"r": RepeatVariable(None, 25)}, old) == list(range(25))
    assert numbers({"r": RepeatVariable(None, 15)}, old) == list(range(15))


def test_repetitions_may_be_written_on_other_axes():
    old = {"r": RepeatVariable(0, 6), "s": 0}

    asked = numbers({"r": RepeatVariable(0, 2), "s": RepeatVariable(0, 4)}, old)

    assert asked == list(range(8))


def test_a_new_parameter_makes_other_points_unless_its_value_was_known():
    new = {**OLD, "b": IterableVariable([0, 1])}

    assert numbers(new) == list(range(8, 24))
    assert numbers(new, b=0) == list(range(16))


def test_a_parameter_that_is_gone_may_be_assumed_as_well():
    old = {**OLD, "z": IterableVariable([7, 8])}
    new = {key: OLD[key] for key in "xy"}

    assert numbers(new, old, z=7) == list(range(0, 16, 2))
    assert numbers(new, old) == list(range(16, 24))


def test_a_parameter_of_an_inner_dict_may_be_assumed():
    old = {"model": {"a": IterableVariable([1, 2])}}
    new = {"model": {"a": IterableVariable([1, 2]), "b": IterableVariable([0, 5])}}

    assert numbers(new, old, model={"b": 5}) == [0, 1, 2, 3]


def test_matched_values_are_compared_by_trial():
    old = {"x": IntegerVariable(1, 3), "seed": MatchIterableVariable([5, 6, 7])}
    new = {"x": IntegerVariable(2, 4), "seed": MatchIterableVariable([6, 7, 8])}

    assert numbers(new, old) == [1, 2, 3]


def test_trials_of_a_table_are_kept():
    blocks = Blocks([Table([{"x": 2}, {"x": 9}, {"x": 3, "y": 1}])])

    after, asked = extend(blocks, {"x": IntegerVariable(1, 3)})

    assert [after[number] for number in asked] == [{"x": 2}, {"x": 1}, {"x": 3}]


def test_a_grid_that_is_too_large_to_be_looked_at_is_compared_by_its_axes():
    large = {name: IntegerVariable(1, 100) for name in "abcde"}
    more = {**large, "c": IntegerVariable(1, 101), "e": IntegerVariable(0, 100)}

    found = extended(blocks_of(large), Expansion(more))

    assert found.kept == Numbers([range(10**10)])
    assert found.new.size == 100**3 * 101**2 - 10**10


# --- parameters that move together, and derived ones


def test_parameters_that_move_together_are_one_axis():
    old = {**zipped(T=[1, 2], h=[10, 20]), "x": IntegerVariable(1, 2)}
    new = {"x": IntegerVariable(1, 3), **zipped(h=[20, 30, 10], T=[2, 3, 1.0])}

    assert numbers(new, old) == list(range(9))
    assert numbers({"T": 1, "h": IterableVariable([10, 20]), "x": 1}, old) == [0, 4]


def derived(factor, axes="x"):
    return Derived(lambda c: factor * sum(c[name] for name in axes))


@pytest.mark.parametrize("axes", ["x", "xz"])
def test_what_is_derived_does_not_make_other_points(axes):
    old = {"x": IntegerVariable(1, 2), "z": IterableVariable([1, 5])}
    new = {**old, "d": derived(2, axes), "x": IntegerVariable(1, 3)}

    found = extended(blocks_of(old), Expansion(new))
    again = blocks_of(old).followed_by(found.new)

    assert (found.kept.size, found.new.size) == (4, 2)
    assert [found.new[k]["d"] for k in range(2)] == [
        2 * sum(found.new[k][name] for name in axes) for k in range(2)
    ]
    assert extended(again, Expansion(new)).new is None
    assert derived_otherwise(again, Expansion(new), {}, Numbers([range(6)])) == []


@pytest.mark.parametrize("axes", ["x", "xz"])
def test_other_values_of_what_is_derived_are_noticed(axes):
    old = {"x": IntegerVariable(1, 2), "z": IterableVariable([1, 5])}
    blocks = blocks_of({**old, "d": derived(2, axes)})
    new = Expansion({**old, "x": IntegerVariable(1, 3), "d": derived(3, axes)})

    found = extended(blocks, new)

    assert (found.kept.size, found.new.size) == (4, 2)
    assert derived_otherwise(blocks, new, {}, found.kept) == ["d"]


# --- lists of configurations, and products with holes


def test_several_configurations_are_compared_by_point():
    old = {"x": IterableVariable([1, 2]), "kind": "a"}
    new = [
        {"x": IterableVariable([2, 3]), "kind": "a"},
        {"x": 1, "kind": "b", "depth": IterableVariable([5, 6])},
    ]

    assert numbers(new, old) == [1, 2, 3, 4]
    assert numbers(old, new) == [0, 4]
    assert numbers(new, new) == [0, 1, 2, 3]


def test_what_is_assumed_holds_in_lists_of_configurations():
    old = [{"x": 1}, {"x": 2, "b": 5}]

    assert numbers({"x": IterableVariable([1, 2]), "b": 5}, old, b=5) == [0, 1]


def test_points_that_a_function_keeps_are_found_in_the_whole_product():
    old = {"x": IntegerVariable(1, 3), "y": IntegerVariable(1, 3)}
    kept = Expansion(old, where=lambda c: c["x"] < c["y"])

    assert list(extended(blocks_of(old), kept).kept) == [1, 2, 5]
    assert extended(Blocks([Grid(kept)]), Expansion(old)).new.size == 6
