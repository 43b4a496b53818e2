"""Several configurations in one experiment, whose parameters may differ."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.encoding.codec import decode
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.derived import Derived
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.listed import without_absent
from experimenter_mpi.experiment.points import text
from experimenter_mpi.experiment.variables import (
    IterableVariable,
    RepeatVariable,
)
from experimenter_mpi.experiment.zipped import zipped
from unit.experiment.test_derived import encode, restored


def points(configurations, where=None):
    """Return the trials: each alone, as texts, from a database and on a worker."""
    expansion = Expansion(configurations, where)
    found = [expansion[index] for index in range(expansion.size)]
    again = restored(expansion)
    sent = Expansion(pickle.loads(pickle.dumps(expansion.configuration)))

    assert found == [decode(each) for each in expansion.documents(encode)]
    assert list(expansion.documents(encode)) == list(again.documents(encode))
    assert found == [again[index] for index in range(again.size)]
    assert found == [sent[index] for index in range(sent.size)]
    return found


def test_grids_come_one_after_the_other():
    found = points(
        [
            {"model": "svm", "C": IterableVariable([1, 10]), "seed": 0},
            {"model": "forest", "trees": IterableVariable([50, 100]), "seed": 0},
        ]
    )

    assert found == [
        {"model": "svm", "C": 1, "seed": 0},
        {"model": "svm", "C": 10, "seed": 0},
        {"model": "forest", "trees": 50, "seed": 0},
        {"model": "forest", "trees": 100, "seed": 0},
    ]


def test_equal_points_are_one_trial_and_repetitions_stay():
    found = points(
        [
            {"a": IterableVariable([1, 2]), "r": RepeatVariable(0, 2)},
            {"a": IterableVariable([2, 3]), "r": 0.0},
            {"r": RepeatVariable(0, 3), "a": 3},
        ]
    )

    assert [1, 1, 2, 2, 3, 3, 3] == [each["a"] for each in found]


def test_each_may_be_of_any_kind():
    found = points(
        [
            {**zipped(T=[1, 2], h=[3, 4]), "d": Derived(lambda c: c["T"] * c["h"])},
            {"inner": {"k": IterableVariable([1, 2])}, "T": 5},
        ],
        lambda c: c["T"] > 1,
    )

    assert found == [
        {"T": 2, "h": 4, "d": 8},
        {"T": 5, "inner": {"k": 1}},
        {"T": 5, "inner": {"k": 2}},
    ]


def test_one_configuration_in_a_list_is_that_one():
    alone = {"a": IterableVariable([1, 2]), "b": 3}
    expansion = Expansion(alone)

    assert points([alone]) == [expansion[0], expansion[1]]
    assert [{"b": 3}] == points([{"b": 3}])


def test_the_state_is_that_in_which_it_was_made():
    value = [1]
    experiment = Experiment(
        "e", function=len, configuration=[{"a": value}, {"b": value}]
    )
    value.append(2)
    experiment[0].configuration["a"].append(3)

    assert [{"a": [1]}, {"b": [1]}] == [each.configuration for each in experiment]


def test_the_document_says_what_is_absent():
    expansion = Expansion([{"a": 1, "c": 5}, {"b": 2, "c": 5}])
    stored = json.loads(encode(expansion.configuration))

    assert {
        "a": {"$ListedVariable": {"names": ["a", "b"], "iter": [1, {"$absent": True}]}},
        "c": 5,
        "b": {"$ListedVariable": {"names": ["a", "b"], "iter": [{"$absent": True}, 2]}},
    } == stored


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ([], "the list is empty"),
        ([{"a": 1}, 3], "entry 1 must be a dict, not int"),
        (3, "must be a dict of names and values, or a list of them, not int"),
        ([{"a": [IterableVariable([1])]}], "holds a variable inside a list"),
    ],
)
def test_what_is_not_a_list_of_configurations_is_refused(configuration, said):
    with pytest.raises(ConfigurationError, match=said):
        Experiment("e", function=len, configuration=configuration)


NAMES = st.sampled_from(['"', "\\", ",", '":{"$absent":true}', "a", "$", "é", ""])
VALUES = st.integers(0, 2) | NAMES


@given(st.lists(st.dictionaries(NAMES, VALUES), min_size=1, max_size=4))
def test_any_names_and_texts_may_be_lacking(configurations):
    found = points(configurations)

    assert found == [
        each
        for i, each in enumerate(configurations)
        if text(each) not in map(text, configurations[:i])
    ]


@given(st.dictionaries(NAMES, VALUES))
def test_a_document_that_lacks_nothing_stays_as_it_is(value):
    assert encode(value) == without_absent(encode(value))
