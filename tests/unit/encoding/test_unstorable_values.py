"""Values that no rule stores: pickled and named, or refused with their place."""

from __future__ import annotations

import collections
import datetime as dt
import pathlib
import pickle
import typing
import zoneinfo

import pytest

from experimenter_mpi.encoding import codec, encoder
from experimenter_mpi.encoding import rules as tags
from experimenter_mpi.encoding.codec import Rule, decode, encode
from experimenter_mpi.errors import (
    CorruptDocumentError,
    EncodingError,
    PickleRefusedError,
)


class Grid(typing.NamedTuple):
    """A type that a caller may have a rule for."""

    low: float
    high: float


# --- pickles ------------------------------------------------------------------------


def test_what_no_rule_stores_is_pickled_and_named():
    encoded = encode({"a": [{"b": ValueError("x")}], "c": frozenset({ValueError})})

    assert (
        ("a.0.b", "builtins.ValueError"),
        ("c.*", "builtins.type"),
    ) == encoded.pickled
    value = decode(encoded.document, allow_pickle=True)
    assert repr(ValueError("x")) == repr(value["a"][0]["b"])
    assert {ValueError} == value["c"]


def test_a_pickle_is_refused_with_its_place_type_and_remedy():
    document = encode({"state": {"error": ValueError("x")}}).document

    with pytest.raises(PickleRefusedError) as caught:
        decode(document)

    assert str(caught.value) == (
        "'state.error' is a pickled builtins.ValueError: open the database with "
        "allow_pickle=True (--allow-pickle) if you trust whoever wrote it"
    )


def test_a_pickle_that_cannot_be_read_is_corrupt_even_where_it_is_allowed():
    gone = pickle.dumps(Grid, 0).replace(b"Grid", b"Gone")
    document = f'{{"$pickle":"{tags.to_base64(gone)}","type":"Gone"}}'

    with pytest.raises(
        CorruptDocumentError, match="a pickled Gone that cannot be read"
    ):
        decode(document, allow_pickle=True)


def test_a_type_that_borrows_a_known_name_is_not_taken_for_it():
    fake = type("Decimal", (), {"__module__": "decimal", "__reduce__": lambda _: "RED"})

    with pytest.raises(EncodingError, match=r"decimal\.Decimal"):
        encode(fake())


def test_a_timezone_no_rule_knows_makes_its_datetime_a_pickle():
    zone = zoneinfo.ZoneInfo("Europe/Paris")
    path = pathlib.Path(zoneinfo.TZPATH[0]) / "UTC"
    if not path.exists():
        pytest.skip("no time zones on this machine")
    with path.open("rb") as file:
        nameless = zoneinfo.ZoneInfo.from_file(file)
    moment = dt.datetime(2024, 1, 1, tzinfo=nameless)

    with pytest.raises(EncodingError, match="ZoneInfo"):
        encode(nameless)
    with pytest.raises(EncodingError, match="datetime"):
        encode(moment)
    assert not encode(moment.replace(tzinfo=zone)).pickled


# --- what cannot be stored ----------------------------------------------------------


def test_what_cannot_even_be_pickled_is_an_error_that_names_it():
    with pytest.raises(EncodingError) as caught:
        encode({"rows": [1, (n for n in range(3))]})

    assert str(caught.value).startswith(
        "'rows.1' is a builtins.generator, which cannot"
    )
    assert str(caught.value).endswith("; use numbers, strings, lists, dicts or arrays")


def circles():
    items = [1]
    items.append({"again": items})
    yield items, "'1.again.1'"
    table = {"a": 1}
    table["self"] = table
    yield table, "'self.self'"
    queue = collections.deque([0])
    queue.append(queue)
    yield queue, "'1.1'"


@pytest.mark.parametrize(("value", "place"), [*circles()])
def test_a_value_that_holds_itself_is_an_error_that_says_where(value, place):
    with pytest.raises(EncodingError) as caught:
        encode(value)

    assert str(caught.value).startswith(f"{place} contains itself")


def test_the_same_value_twice_is_no_circle():
    shared = [()]

    assert [shared, {"a": shared}, (), ((),)] == decode(
        encode([shared, {"a": shared}, (), ((),)]).document
    )


def test_a_value_nested_too_deeply_is_an_error_that_says_where():
    value = []
    for _ in range(encoder.MAX_DEPTH + 1):
        value = {"in": value}

    with pytest.raises(EncodingError, match=r"'in\.in\..*\.in' is nested too deeply"):
        encode(value)


def test_running_out_of_stack_is_the_same_error():
    endless = Rule("grid", Grid, lambda grid: grid, Grid)

    with pytest.raises(EncodingError, match="'a' is nested too deeply"):
        encode({"a": Grid(0, 1)}, extra=[endless])


def test_a_document_beyond_the_limit_is_an_error_with_its_size(monkeypatch):
    monkeypatch.setattr(codec, "MAX_DOCUMENT_BYTES", 1000)

    with pytest.raises(EncodingError, match="takes 1,002 bytes of JSON"):
        encode("x" * 1000)
