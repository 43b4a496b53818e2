"""Tampered documents of numpy values, and records that contradict themselves."""

from __future__ import annotations

import contextlib
import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.encoding import numpy_rules as ndarrays
from experimenter_mpi.encoding.codec import decode, encode
from experimenter_mpi.errors import CorruptDocumentError, PickleRefusedError

GOOD = encode(
    [
        np.random.default_rng(1),
        np.random.RandomState(1),
        np.random.Generator(np.random.Philox(2)),
        np.array([1, "a"], object),
        np.zeros(1, [("a", "O"), ("b", "i4")]),
        np.zeros(1, [("a", "i4")])[0],
        np.ma.masked_array([1, 2], [0, 1]),
        np.datetime64(1, "s"),
    ]
)
PARTS = st.one_of(
    st.none(),
    st.integers(-2, 700),
    st.integers(-(2**70), 2**70),
    st.lists(st.integers(-1, 9), max_size=4),
    st.text(max_size=5),
    st.sampled_from(["<f8", "|O", "<U999999999", "", "F", "f8,f8", "object"]),
    st.sampled_from([[["a", "|O"]], [["a", "<i4", [10**9, 10**9]]], [["", "|V9"]]]),
    st.fixed_dictionaries({"$array": st.just(GOOD.arrays[0].id)}),
    st.sampled_from(json.loads(GOOD.document)),
).map(copy.deepcopy)


def places(plain):
    """Return the (container, key) of every part of a document."""
    entries = plain.items() if isinstance(plain, dict) else enumerate(plain)
    for key, entry in entries:
        yield plain, key
        if isinstance(entry, (dict, list)):
            yield from places(entry)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_document_with_parts_exchanged_is_read_or_refused(data):
    plain = json.loads(GOOD.document)
    for _ in range(data.draw(st.integers(1, 2))):
        container, key = data.draw(st.sampled_from(list(places(plain))))
        container[key] = data.draw(PARTS)
    records = {record.id: record for record in GOOD.arrays}

    with contextlib.suppress(CorruptDocumentError, PickleRefusedError):
        decode(json.dumps(plain), lambda key: ndarrays.to_array(records[key]))


def state_of(name, **changes):
    generator = getattr(np.random, name)(1)
    document = json.loads(encode(generator).document)
    state = document["state"]
    for key, value in changes.items():
        (state if key in state else state["state"])[key] = value
    return document


@pytest.mark.parametrize(
    "plain",
    [
        state_of("MT19937", pos=625),
        state_of("MT19937", pos=-1),
        state_of("MT19937", key=[1] * 623),
        state_of("MT19937", key=[2**32] * 624),
        state_of("Philox", buffer_pos=-1),
        state_of("PCG64", has_uint32=2),
        state_of("PCG64", inc=-1),
        {**state_of("PCG64"), "$bitgenerator": "BitGenerator"},
        {**state_of("PCG64"), "seed": None},
        {"$seedsequence": 1, "spawn_key": [], "pool_size": 10**9, "spawned": 0},
        {"$generator": 1},
        {"$scalar": "|O", "data": "AAAAAAAAAAA="},
        {"$scalar": "<f8", "data": "AA=="},
        {"$scalar": [["a", "|O"]], "data": "AAAAAAAAAAA="},
        {"$objects": [1], "shape": [2]},
        {"$objects": [], "shape": [0, 2**62, 2**62]},
        {"$objects": [1], "shape": [1], "order": "K"},
        {"$records": [], "dtype": [["", "|V99999"]], "shape": [10**9]},
        {"$records": [[1]], "dtype": [["a", "|O"]], "shape": [10**9]},
        {"$masked": [1]},
    ],
)
def test_a_malformed_numpy_tag_is_corrupt(plain):
    with pytest.raises(CorruptDocumentError):
        decode(json.dumps(plain))


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b"123"},
        {"data": None},
        {"shape": (10**18,)},
        {"shape": (-1, -1)},
        {"shape": ("2",)},
        {"order": "K"},
        {"dtype": '"|O"'},
        {"dtype": "nonsense"},
        {"dtype": '"float64"'},
        {"dtype": '[["a","|O"]]'},
        {"dtype": "[" * 100_000},
    ],
)
def test_a_record_that_contradicts_itself_is_corrupt(changes):
    (record,) = encode({"a": np.zeros(2)}).arrays

    with pytest.raises(CorruptDocumentError, match=f"{record.id} \\('a'\\)"):
        ndarrays.to_array(record._replace(**changes))
