"""Tables and the short texts in their cells: pure functions of what is stored."""

from __future__ import annotations

import datetime as dt
from collections import deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from experimenter_mpi.analysis.columns import joined
from experimenter_mpi.cli import table
from experimenter_mpi.cli.table import print_table
from experimenter_mpi.cli.texts import LONGEST, short, text
from experimenter_mpi.cli.values import leaves
from experimenter_mpi.encoding.codec import encode, plain


def stored(value):
    """Return a value as it stands in a document."""
    return plain(encode({"value": value}).document)["value"]


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
    "an empty dict": ({}, "{}"),
}
# Written alike in a table and in CSV.
A_DAY = dt.date(2024, 2, 29)
SAME = {
    "a list": ([1, 2.5, None, "a"], '[1, 2.5, null, "a"]'),
    "a tuple": ((1, "a"), '(1, "a")'),
    "a tuple of one": ((1,), "(1,)"),
    "an empty tuple": ((), "()"),
    "a set": ({2, 1}, "{1, 2}"),
    "an empty set": (frozenset(), "set()"),
    "a deque": (deque([1, 2]), "[1, 2]"),
    "a date": (A_DAY, "2024-02-29"),
    "a moment": (dt.datetime.fromisoformat("2024-02-29T12:30"), "2024-02-29T12:30:00"),
    "a moment somewhere": (
        dt.datetime(2024, 2, 29, 12, tzinfo=ZoneInfo("UTC")),
        "2024-02-29T12:00:00+00:00",
    ),
    "a duration": (dt.timedelta(seconds=90), "0:01:30"),
    "a zone": (dt.timezone(dt.timedelta(hours=1)), "UTC+01:00"),
    "a path": (Path("data/run 1"), "data/run 1"),
    "another system's path": (PurePosixPath("a/b"), "a/b"),
    "a decimal": (Decimal("1.10"), "1.10"),
    "a fraction": (Fraction(1, 3), "1/3"),
    "a large integer": (2**64, "18446744073709551616"),
    "a larger integer": (-(10**30), "-1000000000000000000000000000000"),
    "an integer beyond what Python converts": (16**5000, "0x1" + "0" * 5000),
    "a uuid": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "bytes": (b"ab", "YWI="),
    "half a character": ("\ud83d\ude00", "\ud83d\ude00"),
    "a range": (range(0, 10, 2), "range(0, 10, 2)"),
    "a slice": (slice(1, None), "slice(1, null, null)"),
    "numbers by number": ({1: "a", (2, 3): A_DAY}, '{1: "a", (2, 3): "2024-02-29"}'),
    "dates in a list": ([A_DAY, (Decimal(1), 2j)], '["2024-02-29", (1, 0+2j)]'),
    "keys like tags": ([{"$set": {1}}], '[{"$set": {1}}]'),
    "a date of numpy": (np.datetime64("2024-02-29"), "2024-02-29"),
    "an array": (np.zeros((2, 3)), "array(2, 3) <f8"),
    "an array of objects": (np.array([None, "a"], object), "array(2) object"),
    "a masked array": (np.ma.array([1, 2], mask=[0, 1]), "masked array(2) <i8"),
    "a generator": (np.random.default_rng(1), "<generator>"),
}


@pytest.mark.parametrize("case", SAME)
def test_a_value_has_one_text_in_a_table_and_in_csv(case):
    value, expected = SAME[case]

    assert expected == text(stored(value))
    whole = len(expected) <= LONGEST and expected.isprintable()
    assert not whole or expected == short(stored(value))


def test_csv_has_all_digits():
    value = stored({"a": [0.1234567890123], "z": 1.123456789 + 1j})

    assert '{"a": [0.1234567890123], "z": 1.123456789+1j}' == text(value)
    assert '{"a": [0.123457], "z": 1.12346+1j}' == short(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$date": 5, "x": 1},
        {"$complex": "x"},
        {"$fraction": 3},
        {"$array": "0", "shape": 3},
        {"$timedelta": [10**20, 0, 0]},
        {"$text": "?"},
        {"$scalar": "<f8", "data": "?"},
        {"$nobody": [{"$knows": 1}]},
    ],
)
def test_what_is_damaged_or_unknown_is_named_by_its_kind(value):
    [kind] = [f"<{next(iter(value))[1:]}>"] if value.get("$date") is None else ["5"]

    assert kind == text(value)


@pytest.mark.parametrize("case", SHORT)
def test_a_value_is_shown_as_a_short_text(case):
    value, expected = SHORT[case]

    assert expected == short(stored(value))


def test_an_array_is_shown_by_shape_and_type():
    value = {"$array": "0123", "dtype": "<f8", "shape": [2, 3]}

    assert "array(2, 3) <f8" == short(value)


def test_a_pickled_value_is_shown_by_its_type():
    value = {"$pickle": "gA==", "type": "numpy.poly1d"}

    assert "<pickled numpy.poly1d>" == short(value)
    assert "[<pickled numpy.poly1d>]" == text([value])


class Grid:
    """No rule stores it."""

    def __repr__(self):
        return "Grid(\n  3)"


def test_a_pickled_value_is_loaded_where_that_is_allowed():
    value = stored([Grid()])

    assert "[Grid( 3)]" == text(value, allow_pickle=True)
    assert f"[<pickled {__name__}.Grid>]" == text(value)


def test_a_pickle_that_cannot_be_loaded_says_why():
    value = {"$pickle": "gANjZ29uZQpHcmlkCnEALg==", "type": "gone.Grid"}

    assert "<pickled gone.Grid: No module named 'gone'>" == (
        short(value, allow_pickle=True)
    )


@pytest.mark.parametrize("value", ["x" * 500, list(range(500)), {"$bytes": "A" * 500}])
def test_a_long_value_is_cut_and_says_so(value):
    cut = short(value)

    assert LONGEST == len(cut)
    assert cut.endswith("…")


def test_a_value_of_the_longest_length_is_whole():
    assert "x" * LONGEST == short("x" * LONGEST)


COLUMNS = {
    "flat": ({"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
    "nested": ({"a": {"b": {"c": 1}, "d": 2}}, {"a.b.c": 1, "a.d": 2}),
    "a key with a dot": ({"a.b": 1}, {"a.b": 1}),
    "the same name twice": ({"a": {"b": 1}, "a.b": 2}, {"a.b": 1, '"a.b"': 2}),
    "three times": (
        {"a": {"b": {"c": 1}, "b.c": 2}, "a.b": {"c": 3}},
        {"a.b.c": 1, 'a."b.c"': 2, '"a.b".c': 3},
    ),
    "a quoted key beside it": (
        {"a": {"b": 1}, "a.b": 2, '"a.b"': 3},
        {"a.b": 1, '"a.b"': 2, '"\\"a.b\\""': 3},
    ),
    "an empty object": ({"a": {}}, {"a": {}}),
    "a list stays one": ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}),
    "a tagged value stays one": ({"a": (1,)}, {"a": {"$tuple": [1]}}),
    "a key that looks like a tag": ({"$array": 1}, {"$array": 1}),
    "such a key inside": ({"a": {"$set": 1}}, {"a.$set": 1}),
    "an empty key": ({"": {"": 1}}, {".": 1}),
}


def columns(document):
    found = leaves(document)
    return {name: found[path] for path, name in joined(found).items()}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_document_becomes_columns(case):
    value, expected = COLUMNS[case]

    assert expected == columns(encode(value).document)


@pytest.mark.parametrize("document", [None, "{}"])
def test_no_results_are_no_columns(document):
    assert {} == columns(document)


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
