"""The codec: what goes in comes out, and a document cannot do harm."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import decimal
import fractions
import itertools
import json
import math
import random
import sqlite3
import subprocess
import sys
import typing
import uuid
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.encoding import encoder
from experimenter_mpi.encoding import rules as tags
from experimenter_mpi.encoding.codec import Rule, decode, encode
from support.values import exactly, hashables, values

_FEW = settings(deadline=None, max_examples=100)
_MANY = settings(deadline=None, max_examples=300)


def strict(document):
    """Parse as a reader does who knows nothing but JSON."""

    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(document, parse_constant=refuse)


# --- round trips --------------------------------------------------------------------


def test_a_set_keeps_as_many_nans_as_it_was_given():
    assert 2 == len(decode(encode({float("nan"), float("nan")}).document))


@_MANY
@given(values)
def test_a_value_comes_back_as_it_was(value):
    encoded = encode(value)

    assert exactly(value) == exactly(decode(encoded.document))
    assert not encoded.pickled
    assert not encoded.arrays


@_FEW
@given(values)
def test_a_document_is_compact_strict_json_in_ascii(value):
    document = encode(value).document

    assert document.isascii()
    assert document == compact(strict(document))


def compact(value):
    """Write JSON without spaces, and infinities as SQL reads them."""
    match value:
        case dict():
            pairs = (
                f"{json.dumps(key)}:{compact(each)}" for key, each in value.items()
            )
            return f"{{{','.join(pairs)}}}"
        case list():
            return f"[{','.join(map(compact, value))}]"
        case float() if math.isinf(value):
            return "9e999" if value > 0 else "-9e999"
    return json.dumps(value)


@_FEW
@given(st.lists(hashables, max_size=6))
def test_equal_sets_give_equal_documents_whatever_their_history(entries):
    there, back = set(entries), set()
    for entry in reversed(list(there)):
        back.add(entry)

    assert encode(there).document == encode(back).document


def test_what_json_can_say_stands_as_it_is():
    value = {
        "n": 3,
        "x": 0.5,
        "ok": True,
        "none": None,
        "s": "é",
        "l": [1, [2]],
        "d": {},
    }

    assert value == strict(encode(value).document)


def test_results_can_be_queried_by_sqlite():
    document = encode({"energy": -1.5, "n": 2**63 - 1, "$odd": 1}).document
    query = "SELECT json_extract(?, '$.energy'), json_extract(?, '$.n')"
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute(query, (document, document)).fetchone()

    assert (-1.5, 2**63 - 1) == row


def test_the_deepest_value_is_readable_by_sqlite_and_by_us():
    value = 0
    for _ in range(encoder.MAX_DEPTH):
        value = {(1,): value}
    document = encode(value).document
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        (valid,) = connection.execute("SELECT json_valid(?)", (document,)).fetchone()

    assert valid == 1
    assert value == decode(document)


def test_a_users_key_that_looks_like_a_tag_is_escaped():
    value = {"$tuple": [1], "$$": {"$set": 2}, "$": 3}

    assert {"$$tuple": [1], "$$$": {"$$set": 2}, "$$": 3} == strict(
        encode(value).document
    )
    assert value == decode(encode(value).document)


def test_a_tag_written_with_an_escape_is_still_a_tag():
    assert (1,) == decode('{"\\u0024tuple":[1]}')


def test_integers_beyond_64_bits_are_not_left_to_other_readers_rounding():
    assert '{"$int":"0x8000000000000000"}' == encode(2**63).document
    assert '{"$int":"-0x8000000000000001"}' == encode(-(2**63) - 1).document


def test_minus_zero_and_the_parts_of_complex_numbers_keep_every_sign():
    for value in (-0.0, complex(-0.0, 0.0), complex(0.0, -0.0), complex("-nan-infj")):
        assert repr(value) == repr(decode(encode(value).document))


class Point(typing.NamedTuple):
    """A tuple."""

    x: int
    y: int


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Point(1, 2), (1, 2)),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, {1: [2]}), {1: [2]}),
        (type("Text", (str,), {})("x"), "x"),
        (type("Real", (float,), {})(1.5), 1.5),
        (type("Items", (list,), {})([1]), [1]),
        (type("Raw", (bytes,), {})(b"x"), b"x"),
    ],
)
def test_a_subclass_of_a_built_in_comes_back_as_that_built_in(value, plain):
    encoded = encode(value)

    assert exactly(plain) == exactly(decode(encoded.document))
    assert not encoded.pickled


def test_a_random_generator_goes_on_where_it_was():
    generator = random.Random(7)
    generator.gauss(0, 1)
    copy = decode(encode(generator).document)

    assert [generator.gauss(0, 1) for _ in range(3)] == [
        copy.gauss(0, 1) for _ in range(3)
    ]


def test_a_datetime_is_readable_and_keeps_its_zone_and_fold():
    paris = zoneinfo.ZoneInfo("Europe/Paris")
    moment = dt.datetime(2024, 10, 27, 2, 30, tzinfo=paris, fold=1)
    document = encode(moment).document

    assert {
        "$datetime": "2024-10-27T02:30:00+01:00",
        "zone": {"$zoneinfo": "Europe/Paris"},
        "fold": 1,
    } == strict(document)
    assert repr(moment) == repr(decode(document))


# --- rules of the caller ------------------------------------------------------------


class Grid(typing.NamedTuple):
    """A type that a caller has a rule for."""

    low: float
    high: float


GRID = Rule("grid", Grid, lambda grid: (grid.low, grid.high), Grid, ("high",))


def test_a_callers_rule_comes_before_what_the_type_derives_from():
    document = encode({"g": Grid(0, (1,))}, extra=[GRID]).document

    assert {"g": {"$grid": 0, "high": {"$tuple": [1]}}} == strict(document)
    assert Grid(0, (1,)) == decode(document, extra=[GRID])["g"]


def test_a_rule_that_declines_a_value_leaves_it_to_pickle():
    picky = Rule("grid", Grid, lambda _: NotImplemented, Grid)

    encoded = encode([Grid(0, 1)], extra=[picky])

    assert (("0", f"{__name__}.Grid"),) == encoded.pickled


# --- what every worker carries ------------------------------------------------------


def python(code):
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_encoding_imports_neither_numpy_nor_what_a_value_does_not_bring():
    code = """
import sys
from experimenter_mpi.encoding.codec import decode, encode
before = set(sys.modules)
value = {"x": 1.0, "t": (1, {2}), "e": ValueError()}
encode(value), decode(encode({"t": (1, {2}, b"", 2**70)}).document)
print(sorted({"numpy", "decimal", "datetime", "pathlib", "uuid"} & set(sys.modules)))
print(sorted(set(sys.modules) - before))
"""

    assert python(code) == "[]\n[]\n"


def test_tags_are_distinct():
    rules = [*tags.BUILTIN_RULES, *tags.STDLIB_RULES]
    names = [tag for tag, _ in itertools.groupby(rule.tag for rule in rules)]

    assert len(set(names)) == len(names)


def test_ids_are_texts_that_can_be_copied():
    value = uuid.UUID(int=5)

    assert '{"$uuid":"00000000-0000-0000-0000-000000000005"}' == encode(value).document
    assert decimal.Decimal("1.50") == decode('{"$decimal":"1.50"}')
    assert fractions.Fraction(1, 3) == decode('{"$fraction":[1,3]}')
