"""Expansion: nested loops over a configuration, from top to bottom."""

from __future__ import annotations

import itertools
import json
import sys
import uuid

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from experimenter_mpi.encoding import codec
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    MatchIterableVariable,
    RepeatVariable,
)


def configurations(configuration):
    expansion = Expansion(configuration)
    return [expansion[index] for index in range(expansion.size)]


def to_json(value):
    return codec.encode(value).document


def test_later_keys_vary_fastest_as_in_nested_loops():
    found = configurations(
        {
            "a": IntegerVariable(1, 2),
            "fixed": "same",
            "b": IterableVariable([*"xyz"]),
            "c": RepeatVariable(None, 2),
        }
    )
    expected = [
        {"a": a, "fixed": "same", "b": b, "c": None}
        for a in (1, 2)
        for b in "xyz"
        for _ in range(2)
    ]

    assert expected == found


def test_the_keys_of_a_trial_stand_in_the_order_they_were_written():
    (configuration,) = configurations({"z": 1, "a": {"y": 2, "b": 3}, "m": 4})

    assert ["z", "a", "m"] == list(configuration)
    assert ["y", "b"] == list(configuration["a"])


def test_nothing_that_varies_is_one_trial():
    assert [{"a": 1}] == configurations({"a": 1})
    assert [{}] == configurations({})


def test_variables_may_stand_deep_in_nested_dicts():
    found = configurations(
        {"solver": {"method": {"order": IntegerVariable(1, 2)}}, "n": 3}
    )

    assert [{"solver": {"method": {"order": i}}, "n": 3} for i in (1, 2)] == found


def test_two_variables_of_one_name_at_different_depths_are_two():
    found = configurations(
        {"n": IterableVariable([*"ab"]), "inner": {"n": IterableVariable([*"cd"])}}
    )

    assert ["ac", "ad", "bc", "bd"] == [c["n"] + c["inner"]["n"] for c in found]


def test_the_values_of_a_variable_may_be_dicts_and_lists_themselves():
    found = configurations({"shape": IterableVariable([{"r": 1}, [2, 3]])})

    assert [{"shape": {"r": 1}}, {"shape": [2, 3]}] == found


def test_entry_i_of_a_matched_variable_goes_to_trial_i():
    found = configurations(
        {
            "start": MatchIterableVariable([*"pqrs"]),
            "a": IterableVariable([1, 2]),
            "b": IterableVariable([3, 4]),
        }
    )

    assert [(1, 3, "p"), (1, 4, "q"), (2, 3, "r"), (2, 4, "s")] == [
        (c["a"], c["b"], c["start"]) for c in found
    ]


def test_matched_variables_alone_give_as_many_trials_as_they_are_long():
    found = configurations(
        {"a": MatchIterableVariable([1, 2, 3]), "b": MatchIterableVariable([*"xyz"])}
    )

    assert [(1, "x"), (2, "y"), (3, "z")] == [(c["a"], c["b"]) for c in found]


def test_a_matched_variable_of_another_length_is_refused_with_both_numbers():
    with pytest.raises(
        ConfigurationError,
        match=r"^MatchIterableVariable 'run\.start' has 3 .* 4 trial",
    ):
        Expansion(
            {
                "run": {"start": MatchIterableVariable([1, 2, 3])},
                "n": IntegerVariable(1, 4),
            }
        )


def test_matched_variables_of_two_lengths_are_refused_with_both_numbers():
    with pytest.raises(ConfigurationError, match="'b' has 2 values for 3 trials"):
        Expansion(
            {"a": MatchIterableVariable([1, 2, 3]), "b": MatchIterableVariable([1, 2])}
        )


@pytest.mark.parametrize("inside", [list, tuple])
def test_a_variable_inside_a_list_is_refused_by_its_place(inside):
    with pytest.raises(
        ConfigurationError,
        match=rf"'model\.layers' holds .* inside a {inside.__name__}",
    ):
        Expansion({"model": {"layers": inside([1, IntegerVariable(1, 2)])}})


@pytest.mark.parametrize(
    "hidden",
    [
        [{"width": IntegerVariable(1, 2)}],
        [[IntegerVariable(1, 2)]],
        ({"width": IntegerVariable(1, 2)},),
        IterableVariable([1, IntegerVariable(1, 2)]),
        RepeatVariable(IntegerVariable(1, 2), 3),
        IterableVariable([{"width": IntegerVariable(1, 2)}]),
    ],
    ids=[
        "dict in list",
        "list in list",
        "tuple",
        "values",
        "repeated",
        "dict in values",
    ],
)
def test_a_variable_that_would_not_be_expanded_is_refused_however_deep(hidden):
    """Trials would be given the variable itself in place of a number."""
    with pytest.raises(ConfigurationError, match="'layers'"):
        Expansion({"layers": hidden})


@pytest.mark.parametrize("configuration", [None, [1], "a", 3, (1,)])
def test_a_configuration_that_is_no_dict_is_refused_by_its_type(configuration):
    kind = "int" if configuration == [1] else type(configuration).__name__

    with pytest.raises(ConfigurationError, match=f"must be a dict.* not {kind}$"):
        Expansion(configuration)


def test_a_name_that_is_no_string_is_refused():
    with pytest.raises(ConfigurationError, match="the name 1 must be a string"):
        Expansion({1: "a"})


def test_a_name_beside_a_variable_that_is_no_string_is_refused_by_its_place():
    with pytest.raises(ConfigurationError, match="the name 2 in 'model' must be a str"):
        Expansion({"model": {"n": IntegerVariable(1, 2), 2: "a"}})


def test_a_dict_without_variables_may_have_any_keys():
    assert [{"table": {1: "a"}}] == configurations({"table": {1: "a"}})


def test_what_a_trial_does_to_its_configuration_no_other_trial_sees():
    """Else a sweep on one rank and on many would not give the same results."""
    expansion = Expansion(
        {
            "flat": [1],
            "nested": {"list": [1], "n": IntegerVariable(1, 2)},
            "values": IterableVariable([{"a": [1]}]),
        }
    )
    first = expansion[0]
    first["flat"].append(2)
    first["nested"]["list"].append(2)
    first["values"]["a"].append(2)
    first["more"] = 3

    assert {
        "flat": [1],
        "nested": {"list": [1], "n": 1},
        "values": {"a": [1]},
    } == expansion[0]


def test_what_a_trial_does_to_an_array_no_other_trial_sees():
    expansion = Expansion(
        {"mask": [np.zeros(2)], "start": IterableVariable([np.zeros(2)])}
    )
    first = expansion[0]
    first["mask"][0][:] = 1
    first["start"][:] = 1

    assert [0, 0] == expansion[0]["mask"][0].tolist()
    assert [0, 0] == expansion[0]["start"].tolist()


class Model:
    """An object of the user's own."""

    def __init__(self):
        self.weights = [1]


def test_what_a_trial_does_to_an_object_no_other_trial_sees():
    expansion = Expansion(
        {
            "model": Model(),
            "inner": {"rng": np.random.default_rng(1)},
            "start": IterableVariable([Model()]),
            "again": RepeatVariable(np.random.default_rng(2), 2),
            "match": MatchIterableVariable([{"model": Model()}, 1]),
        }
    )
    first = expansion[0]
    first["model"].weights.append(2)
    first["start"].weights.append(2)
    first["match"]["model"].weights.append(2)
    drawn = first["inner"]["rng"].random(), first["again"].random()
    second = expansion[0]

    assert [1] == second["model"].weights == second["start"].weights
    assert [1] == second["match"]["model"].weights
    assert drawn == (second["inner"]["rng"].random(), second["again"].random())
    assert drawn == (
        expansion[1]["inner"]["rng"].random(),
        expansion[1]["again"].random(),
    )


def test_what_the_script_does_afterwards_no_trial_sees():
    rng, values, options = np.random.default_rng(1), [[1]], {"x": {"y": 1}}
    expansion = Expansion(
        {"rng": rng, "start": IterableVariable(values), "options": options, "m": values}
    )
    document = next(expansion.documents(to_json))
    rng.random()
    values[0].append(2)
    options["x"]["y"] = 2
    options["more"] = 3

    assert document == next(expansion.documents(to_json))
    assert {"x": {"y": 1}} == expansion[0]["options"]
    assert [[1]] == expansion[0]["m"]
    assert [1] == expansion[0]["start"]
    assert np.random.default_rng(1).random() == expansion[0]["rng"].random()


def test_an_object_that_stands_twice_is_one_object_in_a_trial():
    model = Model()
    trial = Expansion({"a": model, "b": {"c": IterableVariable([model, 1])}})[0]

    assert trial["a"] is trial["b"]["c"] is not model


def test_what_can_only_be_read_is_the_same_object_in_all_trials():
    numbers, key = tuple(range(1000)), uuid.uuid4()
    expansion = Expansion(
        {"numbers": numbers, "key": IterableVariable([key]), "n": RepeatVariable(1, 2)}
    )

    assert expansion[0]["numbers"] is expansion[1]["numbers"] is numbers
    assert expansion[0]["key"] is key


class Unwilling:
    """What no copy can be made of."""

    def __deepcopy__(self, memo):
        raise self.error


def test_a_value_that_cannot_be_copied_is_refused_by_its_place():
    Unwilling.error = OSError("it is open")
    with pytest.raises(ConfigurationError, match=r"'log\.file' cannot be copied"):
        Expansion({"log": {"file": sys.stdout}})
    with pytest.raises(ConfigurationError, match=r"'at' cannot .*\(it is open\)"):
        Expansion({"at": Unwilling()})
    with pytest.raises(ConfigurationError, match="'at' cannot be copied"):
        Expansion({"at": IterableVariable([Unwilling()])})


NAMES = st.text(max_size=5) | st.sampled_from(
    ["$array", "$$", "%s", "%", "%(a)s", '"', "\\", "null", ":null}", "é"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2)
    ),
    max_leaves=4,
)
VARIABLES = st.lists(VALUES, min_size=1, max_size=3).map(IterableVariable)
CONFIGURATIONS = st.recursive(
    st.dictionaries(NAMES, VALUES | VARIABLES, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | VALUES | VARIABLES, max_size=3),
    max_leaves=3,
)


@st.composite
def with_matches(draw):
    """Put matched variables anywhere among the keys of a configuration."""
    configuration = draw(CONFIGURATIONS)
    size = Expansion(configuration).size
    entries = list(configuration.items())
    for _ in range(draw(st.integers(0, 2))):
        name = draw(NAMES.filter(lambda name: name not in configuration))
        values = draw(st.lists(VALUES, min_size=size, max_size=size))
        place = draw(st.integers(0, len(entries)))
        entries.insert(place, (name, MatchIterableVariable(values)))
    return dict(entries)


@given(with_matches())
@example({"a": MatchIterableVariable([1, 2, 3]), "b": MatchIterableVariable([*"xyz"])})
@example({"a": IntegerVariable(1, 2), "table": {1: "a"}, "empty": {}})
@example({"a": {"b": {}, "c": IterableVariable([1, 2]), "%s": "%d"}})
@example({"m": MatchIterableVariable([*"ab"]), "a": IterableVariable([1, 2])})
def test_documents_are_what_encoding_each_trial_would_give(configuration):
    expansion = Expansion(configuration)
    expected = [to_json(c) for c in configurations(configuration)]

    assert expected == list(expansion.documents(to_json))


def test_a_value_is_encoded_once_however_many_trials_have_it():
    calls = []

    def encode(value):
        calls.append(value)
        return json.dumps(value, separators=(",", ":"))

    expansion = Expansion(
        {"a": IntegerVariable(1, 100), "b": IntegerVariable(1, 100), "c": "x"}
    )
    texts = expansion.documents(encode)

    assert '{"a":1,"b":2,"c":"x"}' == next(itertools.islice(texts, 1, None))
    assert 200 == sum(isinstance(call, int) for call in calls)


def test_one_trial_of_an_enormous_grid_is_computed_alone():
    expansion = Expansion({name: IntegerVariable(0, 9) for name in "abcdefghijkl"})

    assert 10**12 == expansion.size
    assert "123456789012" == "".join(map(str, expansion[123456789012].values()))
