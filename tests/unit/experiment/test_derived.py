"""Values that follow from others: computed where needed, stored as a table."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.database.documents import VARIABLE_RULES, encode_configuration
from experimenter_mpi.encoding.codec import decode
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.derived import Derived, DerivedVariable
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    MatchIterableVariable,
    RepeatVariable,
)
from experimenter_mpi.experiment.zipped import zipped


def encode(value):
    return encode_configuration(value, part=True).document


def restored(expansion):
    """Return the expansion that a database alone gives."""
    document = encode_configuration(expansion.configuration).document
    return Expansion(decode(document, extra=VARIABLE_RULES))


def points(configuration):
    """Return all trials: each alone, as texts, from a database and on a worker."""
    expansion = Expansion(configuration)
    found = [expansion[index] for index in range(expansion.size)]

    assert [encode(point) for point in found] == list(expansion.documents(encode))
    again = restored(expansion)
    assert found == [again[index] for index in range(again.size)]
    assert list(again.documents(encode)) == list(expansion.documents(encode))
    sent = Expansion(pickle.loads(pickle.dumps(expansion.configuration)))
    assert found == [sent[index] for index in range(sent.size)]
    return found


class Counted:
    """A function that notes how often it is called."""

    def __init__(self, function):
        self.function = function
        self.calls = []

    def __call__(self, c):
        self.calls.append(1)
        return self.function(c)

    def __deepcopy__(self, memo):
        return self


def test_it_follows_from_what_stands_anywhere():
    found = points(
        {
            "dt": Derived(lambda c: c["dx"] * c["solver"]["k"] + c["offset"]),
            "dx": IterableVariable([1, 2, 3]),
            "other": IterableVariable(["ab"] * 2),
            "solver": {"k": IterableVariable([10, 20])},
            "offset": 0.5,
        }
    )

    assert 12 == len(found)
    assert all(c["dt"] == c["dx"] * c["solver"]["k"] + 0.5 for c in found)
    assert ["dt", "dx", "other", "solver", "offset"] == list(found[0])


def test_the_function_is_called_for_what_it_looks_at_and_not_before():
    square = Counted(lambda c: c["a"] ** 2)
    configuration = {
        "a": IntegerVariable(1, 5),
        "b": IntegerVariable(1, 1000),
        "square": Derived(square),
    }
    expansion = Expansion(configuration)
    assert 5000 == expansion.size
    assert not square.calls

    assert [1, 1, 4] == [expansion[i]["square"] for i in (0, 999, 1000)]
    assert 6 >= len(square.calls)
    variable = expansion.configuration["square"]
    assert ((("a",),), (1, 4, 9, 16, 25)) == (variable.of, variable.entries)


def test_what_is_looked_at_only_sometimes_counts():
    found = points(
        {
            "a": IterableVariable([0, 1]),
            "b": IterableVariable([5, 6]),
            "c": IterableVariable([7, 8]),
            "d": Derived(lambda c: c["b"] if c["a"] else c["c"]),
        }
    )

    assert all(c["d"] == (c["b"] if c["a"] else c["c"]) for c in found)


@pytest.mark.parametrize(
    "function",
    [
        lambda c: sorted(c.items()),
        lambda c: {**c}["a"],
        lambda c: c.copy()["a"],
        json.dumps,
        lambda c: c | {"b": 0},
        len,
        lambda c: c.get("a", 0) + ("b" in c),
        lambda c: "none",
    ],
)
def test_functions_may_do_with_it_what_a_dict_can(function):
    base = {"a": IterableVariable([1, 2]), "b": IterableVariable([3, 4])}
    found = points({**base, "all": Derived(function)})
    expansion = Expansion(base)

    assert [function(expansion[i]) for i in range(4)] == [each["all"] for each in found]


def test_one_may_follow_from_another_above_it():
    found = points(
        {
            "a": IterableVariable([1, 2]),
            "b": IterableVariable([3, 4]),
            "sum": Derived(lambda c: c["a"] + c["b"]),
            "inner": {"twice": Derived(lambda c: 2 * c["sum"])},
            "thrice": Derived(lambda c: c["sum"] + c["inner"]["twice"]),
        }
    )

    assert [4, 5, 5, 6] == [each["sum"] for each in found]
    assert [8, 10, 10, 12] == [each["inner"]["twice"] for each in found]
    assert [12, 15, 15, 18] == [each["thrice"] for each in found]


def test_it_goes_with_all_other_kinds():
    found = points(
        {
            **zipped(T=[1, 2], h=[3, 4]),
            "again": RepeatVariable("x", 2),
            "label": MatchIterableVariable(["p", "q", "r", "s"]),
            "product": Derived(lambda c: c["T"] * c["h"]),
            "name": Derived(lambda c: f"{c['label']}{c['T']}"),
        }
    )

    assert [3, 3, 8, 8] == [each["product"] for each in found]
    assert ["p1", "q1", "r2", "s2"] == [each["name"] for each in found]


def test_each_trial_has_its_own_copy_of_what_can_change():
    expansion = Expansion({"a": RepeatVariable(1, 2), "b": Derived(lambda c: [])})
    expansion[0]["b"].append(5)

    assert [] == expansion[0]["b"] == expansion[1]["b"]


def test_the_document_has_the_table_and_the_text():
    configuration = {
        "a": IterableVariable([1, 2]),
        "b": Derived(lambda c: c["a"] + 1),
    }
    stored = json.loads(encode(Expansion(configuration).configuration))["b"]

    assert {
        "$DerivedVariable": {
            "source": 'lambda c: c["a"] + 1',
            "of": [["a"]],
            "iter": [2, 3],
        }
    } == stored


def a_named_one(c):
    return c["a"]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (
            a_named_one,
            'def a_named_one(c):\n    return c["a"]',
        ),
        (len, "len"),
        (eval("lambda c: 1"), "<lambda>"),  # noqa: S307 - it has no text
    ],
)
def test_the_text_of_other_functions(function, text):
    expansion = Expansion({"a": 1, "b": Derived(function)})

    assert text == expansion.configuration["b"].source
    assert f"<derived: {text}>" == repr(expansion.configuration["b"])


def test_a_function_that_fails_names_its_place_and_the_trial():
    configuration = {
        "a": IterableVariable([1, 0]),
        "inner": {"b": Derived(lambda c: 1 / c["a"])},
    }
    expansion = Expansion(configuration)
    with pytest.raises(
        ConfigurationError, match=r"'inner.b' failed for trial 1: ZeroDivisionError"
    ):
        expansion[0]


@pytest.mark.parametrize("given", [3, "text", None])
def test_what_is_no_function_is_refused(given):
    with pytest.raises(ConfigurationError, match="Derived needs a function"):
        Derived(given)


@pytest.mark.parametrize(
    ("of", "entries"),
    [
        ([["a"]], [1]),
        ([["b"]], [1, 2]),
        ([["a"], ["b"]], [1, 2]),
        ([], [1, 2]),
        (None, [1]),
    ],
)
def test_a_table_that_does_not_fit_is_refused(of, entries):
    """As a database may have it."""
    variable = DerivedVariable("text", of, entries)
    with pytest.raises(
        ConfigurationError, match="'d' is derived from other parameters"
    ):
        Expansion({"a": IterableVariable([1, 2]), "d": variable})


# --- functions of any parameters, in any order


@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    looks_at=st.sets(st.integers(0, 3)),
    position=st.integers(0, 4),
)
def test_it_is_the_function_of_each_trial(lengths, looks_at, position):
    names = [f"a{i}" for i in range(len(lengths))]
    chosen = [name for i, name in enumerate(names) if i in looks_at]

    def function(c):
        return [c[name] for name in chosen]

    items = [
        (name, IterableVariable(range(length)))
        for name, length in zip(names, lengths, strict=True)
    ]
    items.insert(position, ("derived", Derived(function)))
    found = points(dict(items))

    assert all(each["derived"] == function(each) for each in found)
