"""NaN and infinities: as SQL understands them, and back exactly."""

from __future__ import annotations

import collections
import json
import math
import sqlite3

import numpy as np
import pytest
from hypothesis import example, given, settings

from experimenter_mpi.encoding import codec
from experimenter_mpi.errors import CorruptDocumentError
from support.values import exactly, values

nan, inf = math.nan, math.inf

WRITTEN = {
    "a key": ({"loss": nan}, '{"loss":null,"$nan":[["loss"]]}'),
    "with none": (
        {"a": None, "b": nan, "c": [None, nan, [nan]]},
        '{"a":null,"b":null,"c":[null,null,[null]],"$nan":[["b"],["c",1],["c",2,0]]}',
    ),
    "infinities": ({"a": inf, "b": [-inf]}, '{"a":9e999,"b":[-9e999]}'),
    "a word": ({"a": "NaN", "NaN": 'x",NaN,"'}, None),
    "a word beside": (
        {"a": 'NaN"NaN\\', "b": nan},
        r'{"a":"NaN\"NaN\\","b":null,"$nan":[["b"]]}',
    ),
    "a tuple": ({"a": (nan,)}, '{"a":{"$tuple":[null]},"$nan":[["a","$tuple",0]]}'),
    "odd keys": (
        {"a.b": {"é": nan}, "$nan": nan},
        r'{"a.b":{"\u00e9":null},"$$nan":null,"$nan":[["a.b","\u00e9"],["$$nan"]]}',
    ),
    "keys that are no texts": (
        {1.5: nan, nan: 1},
        '{"$nan":[["$dict",0,1],["$dict",1,0]],"value":{"$dict":[[1.5,null],[null,1]]}}',
    ),
    "by itself": (nan, '{"$nan":[[]],"value":null}'),
    "a list": ([1.0, nan], '{"$nan":[[1]],"value":[1.0,null]}'),
    "complex": (
        {"z": complex(inf, nan)},
        '{"z":{"$complex":[9e999,null]},"$nan":[["z","$complex",1]]}',
    ),
    "of numpy": ({"a": np.float64(nan), "b": np.float32(inf)}, None),
    "a set": ({"a": {nan, -inf, 1.0}}, None),
    "a deque": ({"a": collections.deque([nan], 3)}, None),
    "a slice": ({"a": slice(nan, None, inf)}, None),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_it_is_written_so_and_read_back(case):
    value, expected = WRITTEN[case]
    document = codec.encode(value).document
    read = codec.decode(document)

    assert expected in (None, document)
    json.loads(document, parse_constant=pytest.fail)
    assert as_python(value) == exactly(read)


def as_python(value):
    """Return the text of ``exactly``; numpy's numbers are stored as Python's."""
    if isinstance(value, dict):
        value = {
            key: entry.item() if isinstance(entry, np.generic) else entry
            for key, entry in value.items()
        }
    return exactly(value)


@settings(deadline=None, max_examples=200)
@given(values)
@example([{"$nan": {"$nan": nan}}])
@example({"$nan": [["a"]], "a": None})
@example({"value": nan})
def test_parts_that_are_joined_are_what_the_whole_would_be(value):
    parts = [codec.encode(value, part=True).document for _ in range(2)]
    joined = codec.whole(f'{{"a":{parts[0]},"b":[{parts[1]}]}}')

    assert codec.encode({"a": value, "b": [value]}).document == joined
    assert exactly({"a": value, "b": [value]}) == exactly(codec.decode(joined))


def test_sql_leaves_nan_out_and_has_infinities():
    results = [1.0, nan, 3.0, None]
    plain = sqlite3.connect(":memory:")
    plain.execute("CREATE TABLE trials (results TEXT)")
    documents = [(codec.encode({"loss": each}).document,) for each in results]
    plain.executemany("INSERT INTO trials VALUES (?)", documents)
    ask = "SELECT {}(results ->> '$.loss') FROM trials"

    found = [
        plain.execute(ask.format(each)).fetchone()[0]
        for each in ("avg", "max", "min", "count", "sum")
    ]
    assert [2.0, 3.0, 1.0, 2, 4.0] == found

    document = codec.encode({"loss": -inf}).document
    plain.execute("INSERT INTO trials VALUES (?)", (document,))
    assert -inf == plain.execute(ask.format("min")).fetchone()[0]
    assert 3.0 == plain.execute(ask.format("max")).fetchone()[0]
    query = "SELECT count(*) FROM trials WHERE results ->> '$.loss' < 0"
    assert (1,) == plain.execute(query).fetchone()
    plain.close()


def test_a_million_nans_in_a_row_are_no_matter():
    value = {"curve": [nan] * 100_000 + [1.0], "text": "x" * 1_000_000}
    read = codec.decode(codec.encode(value).document)

    assert 100_000 == sum(map(math.isnan, read["curve"]))
    assert value["text"] == read["text"]


def test_documents_from_before_are_still_read():
    document = '{"a":{"$float":"nan"},"b":{"$tuple":[{"$float":"-inf"}]}}'
    read = codec.decode(document)

    assert math.isnan(read["a"])
    assert (-inf,) == read["b"]


@pytest.mark.parametrize(
    "document",
    [
        '{"a":null,"$nan":["a"]}',
        '{"a":null,"$nan":"a"}',
        '{"a":null,"$nan":null}',
        '{"a":null,"$nan":[["b"]]}',
        '{"a":1,"$nan":[["a"]]}',
        '{"a":null,"$nan":[["a"],["a"]]}',
        '{"a":null,"$nan":[[]]}',
        '{"a":[null],"$nan":[["a",-1]]}',
        '{"a":[null],"$nan":[["a",true]]}',
        '{"a":[null],"$nan":[["a",1]]}',
        '{"a":[null],"$nan":[["a","0"]]}',
        '{"a":{"0":null},"$nan":[["a",0]]}',
        '{"a":"x","$nan":[["a",0]]}',
        '{"a":null,"$nan":[[["a"]]]}',
        '{"a":null,"$nan":[["a",0]]}',
        '{"a":null,"$nan":[["$nan"]]}',
        '{"$nan":[[]],"value":null,"more":1}',
        '{"$nan":[[]]}',
        '{"$nan":[[]],"other":null}',
        '{"a":{"b":null,"$nan":[["b"]]}}',
        '{"a":{"$nan":[[]],"value":null}}',
        '{"a":null,"$nan":[' + "[" * 900 + "]" * 900 + "]}",
        '{"a":NaN}',
        '{"a":Infinity}',
    ],
)
def test_a_list_that_is_not_right_is_corrupt(document):
    with pytest.raises(CorruptDocumentError):
        codec.decode(document)


def test_none_without_a_list_stays_none():
    assert (
        {"a": None}
        == codec.decode('{"a":null}')
        == codec.decode('{"a":null,"$nan":[]}')
    )
