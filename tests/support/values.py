"""Values of every kind that the codec stores, and how to compare them exactly."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import pathlib
import random
import zoneinfo
from typing import Any

from hypothesis import strategies as st

from experimenter_mpi.encoding.codec import decode, encode

any_text = st.text(st.characters(exclude_categories=()))
zones = st.none() | st.sampled_from(
    [
        dt.timezone.utc,
        dt.timezone(dt.timedelta(hours=5, minutes=30)),
        dt.timezone(dt.timedelta(seconds=-1, microseconds=7)),
        dt.timezone(dt.timedelta(0), "named UTC"),
        zoneinfo.ZoneInfo("Europe/Paris"),
    ]
)
moments = st.builds(
    lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
    st.datetimes() | st.times(),
    zones,
    st.sampled_from([0, 1]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1]),
    st.floats(),
    st.complex_numbers(),
    any_text,
    st.sampled_from(["$", "$$", "$tuple", "\x00", "\ud83d", "\ud83d\ude00", "\\ud83d"]),
    st.binary(),
    st.uuids(),
    st.dates(),
    moments,
    zones,
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    any_text.filter(lambda text: "\x00" not in text).map(pathlib.Path),
    st.sampled_from([pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("c:/d")]),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
)
hashables = st.recursive(
    scalars.filter(
        lambda value: not isinstance(value, decimal.Decimal) or not value.is_nan()
    ),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4)
    ),
    max_leaves=6,
)
values = st.recursive(
    scalars
    | st.binary().map(bytearray)
    | st.builds(slice, scalars, scalars, scalars)
    | st.integers().map(random.Random),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.lists(inner, max_size=5).map(lambda some: collections.deque(some, 9)),
        st.sets(hashables, max_size=5),
        st.frozensets(hashables, max_size=5),
        st.dictionaries(any_text | st.sampled_from(["$", "$$a", "$set"]), inner),
        st.dictionaries(hashables, inner, max_size=4),
    ),
    max_leaves=12,
)


def exactly(value: Any) -> str:
    """Return a text that only a value of the same types and bits has."""
    kind = type(value)
    inner: Any = value
    if kind is dict:
        inner = [(exactly(key), exactly(entry)) for key, entry in value.items()]
    elif kind in (list, tuple):
        inner = [exactly(entry) for entry in value]
    elif kind in (set, frozenset):
        inner = sorted(exactly(entry) for entry in value)
    elif kind is collections.deque:
        inner = exactly([*value, value.maxlen])
    elif kind is slice:
        inner = exactly((value.start, value.stop, value.step))
    elif kind is random.Random:
        inner = value.getstate()
    return f"{kind.__name__} {inner!r}"


def round_trip(value: Any, **options: Any) -> Any:
    """Encode and decode a value of which nothing may be pickled."""
    from experimenter_mpi.encoding.numpy_rules import to_array

    encoded = encode(value, **options)
    records = {record.id: record for record in encoded.arrays}
    assert not encoded.pickled
    return decode(encoded.document, lambda array_id: to_array(records[array_id]))
