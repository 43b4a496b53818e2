"""Entries that are added to a document: both read back as they were."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi import CorruptDocumentError
from experimenter_mpi.encoding.codec import decode, encode
from experimenter_mpi.encoding.joining import joined, keys_of
from support.values import exactly

_KEYS = st.text("ab$.", max_size=2)
_LEAVES = st.sampled_from([math.nan, math.inf, 1, 0.5, None, "NaN", 2j, 2**70])
values = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=2)
    ),
    max_leaves=5,
)
documents = st.dictionaries(_KEYS, values, max_size=3)
_SOME = settings(deadline=None, max_examples=200)


@_SOME
@given(documents, documents)
def test_both_parts_read_back_as_they_were(one, other):
    other = {key: value for key, value in other.items() if key not in one}
    document = joined(encode(one).document, encode(other).document)

    assert exactly({**one, **other}) == exactly(decode(document))


@_SOME
@given(documents)
def test_the_keys_are_those_of_the_document(one):
    assert len(one) == len(keys_of(encode(one).document))


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"a":null,"$nan":3}', '{"$nan":[["a"]],"a":null}', ' {"a":1}', '"a"'],
)
def test_what_is_no_such_document_is_refused(text):
    with pytest.raises(CorruptDocumentError):
        joined(text, encode({"b": math.nan}).document)
