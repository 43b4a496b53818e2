"""Tables and the short texts in their cells: pure functions of what is stored."""

from __future__ import annotations

import json

import pytest

from experimenter_mpi.cli import table
from experimenter_mpi.cli.table import print_table
from experimenter_mpi.cli.values import LONGEST, flattened, plain, short
from experimenter_mpi.codec import encode


def stored(value):
    """Give a value as it stands in a document."""
    return json.loads(encode({"value": value}).document)["value"]


SHORT = {
    "text": ("euler", "euler"),
    "two lines": ("a\nb", "'a\\nb'"),
    "an integer": (12, "12"),
    "a truth": (True, "true"),
    "nothing": (None, "null"),
    "a float": (1.123456789, "1.12346"),
    "a tiny float": (1e-30, "1e-30"),
    "not a number": (float("nan"), "nan"),
    "minus infinity": (float("-inf"), "-inf"),
    "complex": (1 + 2j, "1+2j"),
    "complex below the axis": (1.5 - 2j, "1.5-2j"),
    "complex without a number": (complex(0, float("nan")), "0+nanj"),
    "a tuple": ((1, "a"), 'tuple [1, "a"]'),
    "a list": ([1, 2.5], "[1, 2.5]"),
    "an empty dict": ({}, "{}"),
}


@pytest.mark.parametrize("case", SHORT)
def test_a_value_is_shown_as_a_short_text(case):
    value, expected = SHORT[case]

    assert expected == short(stored(value))


def test_an_array_is_shown_by_shape_and_type():
    value = {"$array": "0123", "dtype": "<f8", "shape": [2, 3]}

    assert "array(2, 3) <f8" == short(value)


def test_a_pickled_value_is_shown_by_its_type():
    assert "pickled numpy.poly1d" == short({"$pickle": "gA==", "type": "numpy.poly1d"})


@pytest.mark.parametrize("value", ["x" * 500, list(range(500)), {"$bytes": "A" * 500}])
def test_a_long_value_is_cut_and_says_so(value):
    text = short(value)

    assert LONGEST == len(text)
    assert text.endswith("…")


def test_a_value_of_the_longest_length_is_whole():
    assert "x" * LONGEST == short("x" * LONGEST)


FLATTENED = {
    "flat": ({"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
    "nested": ({"a": {"b": {"c": 1}, "d": 2}}, {"a.b.c": 1, "a.d": 2}),
    "an empty object": ({"a": {}}, {"a": {}}),
    "a list stays one": ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}),
    "a tagged value stays one": ({"a": (1,)}, {"a": {"$tuple": [1]}}),
    "a key that looks like a tag": ({"$array": 1}, {"$array": 1}),
    "such a key inside": ({"a": {"$set": 1}}, {"a.$set": 1}),
    "an empty key": ({"": {"": 1}}, {".": 1}),
}


@pytest.mark.parametrize("case", FLATTENED)
def test_a_document_becomes_columns(case):
    value, expected = FLATTENED[case]

    assert expected == flattened(plain(encode(value).document))


@pytest.mark.parametrize("document", [None, "{}"])
def test_no_results_are_no_columns(document):
    assert {} == flattened(plain(document))


def test_numbers_are_aligned_to_the_right_and_texts_to_the_left(capsys):
    print_table(("name", "n"), [["a", "1"], ["longer", "1000"], ["b", "-"]])

    expected = "name       n\na          1\nlonger  1000\nb          -\n"
    assert expected == capsys.readouterr().out


def test_no_line_ends_in_spaces(capsys):
    print_table(("n", "text"), [["1", "a longer text"], ["2", ""]])

    lines = capsys.readouterr().out.splitlines()
    assert ["n  text", "1  a longer text", "2"] == lines


def test_a_table_without_rows_is_its_header(capsys):
    print_table(("trial", "status"), [])

    assert "trial  status\n" == capsys.readouterr().out


def test_there_is_colour_on_a_terminal_only(capsys, monkeypatch):
    print_table(("status",), [["failed"]])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(table.sys.stdout, "isatty", lambda: True, raising=False)

    print_table(("status",), [["failed"], ["other"]])

    assert "\x1b[1mstatus\x1b[0m\n\x1b[31mfailed\x1b[0m\nother\n" == (
        capsys.readouterr().out
    )
