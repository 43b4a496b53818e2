"""Keys that move together are one axis, wherever they stand and whence they come."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.database.documents import encode_configuration
from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.table_rows import table
from experimenter_mpi.experiment.variables import (
    IterableVariable,
    LinearVariable,
    MatchIterableVariable,
)
from experimenter_mpi.experiment.zipped import ZippedVariable, zipped


def points(configuration):
    """Return all trials, each computed alone; their texts say the same."""
    expansion = Expansion(configuration)
    found = [expansion[index] for index in range(expansion.size)]

    def encode(value):
        return encode_configuration(value, part=True).document

    assert [encode(point) for point in found] == list(expansion.documents(encode))
    return found


def test_zipped_keys_are_one_axis_of_the_product():
    found = points(
        {
            "a": IterableVariable([1, 2]),
            **zipped(T=[10, 20, 30], h=["x", "y", "z"]),
            "b": IterableVariable([True, False]),
        }
    )

    assert found == [
        {"a": a, "T": T, "h": h, "b": b}
        for a in (1, 2)
        for T, h in ((10, "x"), (20, "y"), (30, "z"))
        for b in (True, False)
    ]


def test_the_axis_is_where_its_first_key_is():
    together = zipped(T=[1, 2], h=[3, 4])
    found = points(
        {"T": together["T"], "n": IterableVariable([0, 1]), "h": together["h"]}
    )

    assert found == [
        {"T": T, "n": n, "h": h} for T, h in ((1, 3), (2, 4)) for n in (0, 1)
    ]


def test_each_dict_has_its_own_and_several_may_be_in_one():
    inner = {"inner": {**zipped(x=[1, 2], y=[3, 4])}}
    found = points({**zipped(x=[5, 6], y=[7, 8]), **inner, **zipped(z=[9, 10, 11])})

    assert found == [
        {"x": x, "y": y, "inner": {"x": u, "y": v}, "z": z}
        for x, y in ((5, 7), (6, 8))
        for u, v in ((1, 3), (2, 4))
        for z in (9, 10, 11)
    ]


def test_matched_variables_go_beside_them():
    found = points({**zipped(x=[1, 2]), "label": MatchIterableVariable(["a", "b"])})

    assert found == [{"x": 1, "label": "a"}, {"x": 2, "label": "b"}]


def test_variables_and_arrays_can_be_zipped():
    found = points(zipped(x=LinearVariable(0, 1, 3), y=np.arange(3)))

    assert [0.0, 0.5, 1.0] == [each["x"] for each in found]
    assert [0, 1, 2] == [each["y"] for each in found]


def test_each_trial_has_its_own_copy_of_what_can_change():
    expansion = Expansion(zipped(x=[[1], [2]], y=[3, 4]))
    expansion[0]["x"].append(5)

    assert {"x": [1], "y": 3} == expansion[0]


def test_they_are_sent_to_other_processes_as_they_are():
    configuration = zipped(x=[1, 2], y=[3, 4])

    assert configuration == pickle.loads(pickle.dumps(configuration))
    assert hash(configuration["x"])


def test_what_they_say_of_themselves_is_short():
    shown = repr(zipped(T=range(100), h=range(100))["T"])

    assert "<0, 1, 2, 3, 4, and 95 more: T and h move together>" == shown


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "zipped: no parameters"),
        ({"T": [1, 2], "h": [1]}, "T has 2, h has 1"),
        ({"T": []}, "zipped: T: no values"),
        ({"T": "text"}, "zipped: T: got str"),
        ({"T": 3}, "zipped: T: .*3"),
    ],
)
def test_what_cannot_be_zipped_is_refused(columns, said):
    with pytest.raises(ConfigurationError, match=said):
        zipped(**columns)


TOGETHER = zipped(T=[1, 2], h=[3, 4])


@pytest.mark.parametrize(
    "configuration",
    [
        {"T": TOGETHER["T"]},
        {**TOGETHER, "h": 3},
        {"T": TOGETHER["T"], "inner": {"h": TOGETHER["h"]}},
        {**TOGETHER, "other": TOGETHER["h"]},
    ],
)
def test_a_part_of_them_is_refused(configuration):
    with pytest.raises(ConfigurationError, match=r"'T' and 'h' move together, so all"):
        Expansion(configuration)


def test_other_lengths_in_a_database_are_refused():
    names = ["T", "h"]
    configuration = {
        "T": ZippedVariable(names, [1]),
        "h": ZippedVariable(names, [1, 2]),
    }
    with pytest.raises(ConfigurationError, match="'T' and 'h' move together, but diff"):
        Expansion(configuration)


def test_a_matched_variable_that_does_not_fit_names_zipped():
    configuration = {
        "a": IterableVariable([1, 2]),
        "b": MatchIterableVariable([1, 2, 3]),
    }
    with pytest.raises(ConfigurationError, match=r"or use \*\*zipped\(...\) for param"):
        Expansion(configuration)


# --- nested in all ways

LENGTHS = st.integers(1, 3)


@st.composite
def levels(draw, depth=2):
    """Draw a configuration, and the axes it should have, in order."""
    configuration, axes = {}, []
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["plain", "zipped", "constant", "inner"]))
        if kind == "inner" and depth:
            configuration[f"k{number}"], inner = draw(levels(depth=depth - 1))
            axes += [[(f"k{number}", *path) for path in axis] for axis in inner]
        elif kind == "zipped":
            names = [f"z{number}{letter}" for letter in "abc"[: draw(LENGTHS)]]
            length = draw(LENGTHS)
            columns = {name: [f"{name}{i}" for i in range(length)] for name in names}
            configuration |= zipped(**columns)
            axes.append([(name,) for name in names])
        elif kind == "plain":
            configuration[f"k{number}"] = IterableVariable(range(draw(LENGTHS)))
            axes.append([(f"k{number}",)])
        else:
            configuration[f"k{number}"] = number
    return configuration, axes


@given(levels())
def test_axes_are_found_again_however_they_are_nested(drawn):
    configuration, axes = drawn
    expansion = Expansion(configuration)

    found = [[each.path for each in axis.columns] for axis in expansion.axes]
    assert axes == found
    assert len(points(configuration)) == expansion.size


# --- tables


def test_rows_of_a_table_are_points():
    rows = [{"T": 1, "name": "a"}, {"T": 2, "name": "b"}]

    assert rows == points(table(rows))
    assert rows == points(table(iter(rows)))


def test_a_csv_file_is_a_table(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text('T,h,name,note\n1,0.5,"a,b",\n2,1e3,x_1,1_0\n', encoding="utf-8")

    for given_as in (path, str(path)):
        assert points(table(given_as)) == [
            {"T": 1, "h": 0.5, "name": "a,b", "note": None},
            {"T": 2, "h": 1000.0, "name": "x_1", "note": "1_0"},
        ]


class Column:
    """A column as pandas has it."""

    def __init__(self, values):
        self._values = values

    def tolist(self):
        return self._values.tolist()


class Frame:
    """What of a data frame is used."""

    columns = ("x", "y")

    def __getitem__(self, name):
        return Column(np.array([1.5, 2.5]) if name == "x" else np.array([1, 2]))


def test_a_data_frame_is_a_table():
    found = points(table(Frame()))

    assert [{"x": 1.5, "y": 1}, {"x": 2.5, "y": 2}] == found
    assert {float, int} == {type(value) for value in found[0].values()}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "table: no rows"),
        ([3], "table: row 0 must be a dict, not int"),
        ([{"a": 1}, {}], "table: row 0 has 'a' and row 1 has not"),
        ([{"a": 1}, {"a": 1, "b": 2}], "table: row 1 has 'b' and row 0 has not"),
        ([{1: 2}], "table: the name of a column must be a string, not 1"),
        ("nowhere.csv", "table: cannot read nowhere.csv: No such file"),
    ],
)
def test_what_is_no_table_is_refused(rows, said):
    with pytest.raises(ConfigurationError, match=said):
        table(rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows below its names"),
        ("a,b\n", "no rows below its names"),
        ("a,a\n1,2\n", "has the column 'a' twice"),
        ("a,b\n1,2\n3\n", "row 2 of .* has 1 cells, not 2"),
    ],
)
def test_what_is_no_csv_table_is_refused(tmp_path, text, said):
    path = tmp_path / "points.csv"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=said):
        table(path)
