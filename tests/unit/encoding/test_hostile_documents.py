"""Documents that somebody has tampered with: read or refused, never worse."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.encoding import rules as tags
from experimenter_mpi.encoding.codec import decode, encode
from experimenter_mpi.errors import CorruptDocumentError, PickleRefusedError
from support.values import values

_MANY = settings(deadline=None, max_examples=200)

TAGS = [f"${tag}" for tag in (*tags.BY_TAG, "array", "pickle", "nonsense", "", "$")]
TAGS.append("$nan")
FIELDS = ["dtype", "shape", "type", "zone", "fold", "gauss", "maxlen", "name", "a"]
plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [*TAGS, "Europe/Paris", "../../etc/passwd", "nan", "0x1", "12:00"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(TAGS), inner, min_size=1, max_size=1)
        | st.dictionaries(st.sampled_from([*TAGS, *FIELDS]), inner, max_size=3)
    ),
    max_leaves=10,
)


def read_or_refuse(document):
    """Decode; nothing but the package's own errors may come out."""
    with contextlib.suppress(CorruptDocumentError, PickleRefusedError):
        decode(document)


@_MANY
@given(plain_json)
def test_any_json_is_read_or_refused(plain):
    read_or_refuse(json.dumps(plain))


def mutated(plain, data):
    """Replace one part of a document, anywhere in it, by another."""
    if not plain or not isinstance(plain, (list, dict)) or data.draw(st.booleans()):
        return data.draw(plain_json)
    keys = list(plain) if isinstance(plain, dict) else range(len(plain))
    key = data.draw(st.sampled_from(keys))
    copy = plain.copy()
    copy[key] = mutated(plain[key], data)
    if isinstance(plain, dict) and data.draw(st.booleans()):
        copy[data.draw(st.sampled_from([*TAGS, *FIELDS]))] = copy.pop(key)
    return copy


@_MANY
@given(values, st.data())
def test_a_document_with_a_part_exchanged_is_read_or_refused(value, data):
    read_or_refuse(json.dumps(mutated(json.loads(encode(value).document), data)))


@_MANY
@given(values, st.data())
def test_a_document_with_bytes_exchanged_is_read_or_refused(value, data):
    text = encode(value).document
    start, end = sorted(data.draw(st.integers(0, len(text))) for _ in range(2))
    read_or_refuse(text[:start] + data.draw(st.text(max_size=4)) + text[end:])


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "1 2",
        "9" * 5000,
        "[" * 100_000,
        '{"$tuple":' * 100_000,
        '{"$tuple":' * 600 + "[]" + "}" * 600,
        None,
        b"{}",
        '{"a":1,"$tuple":[]}',
        '{"$tuple":[],"a":1}',
        '{"$tuple":"ab"}',
        '{"$dict":["ab"]}',
        '{"$dict":[[[],1]]}',
        '{"$set":[[]]}',
        '{"$bytes":"QQ"}',
        '{"$bytes":"Q Q=="}',
        '{"$float":"1"}',
        '{"$float":[]}',
        '{"$int":"1_0"}',
        '{"$int":"0X1"}',
        '{"$int":10}',
        '{"$fraction":[1,0]}',
        '{"$range":[0,1,0]}',
        '{"$range":[0,true,1]}',
        '{"$zoneinfo":"/etc/passwd"}',
        '{"$zoneinfo":"Europe"}',
        '{"$random":[1],"gauss":null}',
        '{"$random":' + json.dumps([2**32 - 1] * 625) + "}",
        '{"$deque":[],"maxlen":-1}',
        '{"$datetime":"2024-01-01","fold":2}',
        '{"$datetime":"2024-01-01","zone":1}',
        '{"$timedelta":[999999999999,0,0]}',
        '{"$timezone":[2,0,0]}',
        '{"$array":"short"}',
        '{"$array":"' + "0" * 32 + '","more":1}',
        '{"$pickle":"x","more":1}',
    ],
)
def test_a_malformed_document_is_corrupt(document):
    with pytest.raises(CorruptDocumentError):
        decode(document)


def test_an_unknown_tag_is_said_to_be_of_a_newer_version():
    with pytest.raises(CorruptDocumentError) as caught:
        decode('{"a":[{"$quaternion":[1,2,3,4]}]}')

    assert "'a.0' is tagged $quaternion" in str(caught.value)
    assert "a newer version" in str(caught.value)


def test_an_array_that_is_not_there_is_named():
    missing = "0123456789abcdef" * 2

    with pytest.raises(CorruptDocumentError, match=f"'a' is array {missing}"):
        decode(f'{{"a":{{"$array":"{missing}"}}}}')


def test_errors_of_whoever_loads_arrays_are_not_disguised():
    def load(array_id):
        raise ValueError(array_id)

    with pytest.raises(ValueError, match=r"^0{32}$"):
        decode('{"$array":"' + "0" * 32 + '"}', load)
