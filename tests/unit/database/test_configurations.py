"""The text of a trial's configuration is what encoding the configuration gives."""

from __future__ import annotations

import math
import uuid

import numpy as np
import pytest

from experimenter_mpi import (
    Choice,
    CorruptDocumentError,
    Derived,
    Experiment,
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    RepeatVariable,
    sampled,
    zipped,
)
from experimenter_mpi.database.configurations import Configurations
from experimenter_mpi.database.documents import encode_configuration

nan, inf = math.nan, math.inf


class Odd:
    """Something to be pickled."""


CASES = {
    "nothing": {},
    "constants": {"a": 1, "b": {"c": {}}, "d": [], "%s": "%d"},
    "a product": {
        "n": 10,
        "N": IntegerVariable(1, 3),
        "x": LogLinearVariable(1, 100, 3),
        "seed": RepeatVariable((7, {1: 2}), 2),
    },
    "nans": {
        "n": LinearVariable(4, 12, 5),
        "limit": IterableVariable([nan, inf, 2]),
        "constant": {"missing": nan, "floor": -inf, "set": {nan, 1.0}},
        "clock": MatchIterableVariable([nan, *range(14)]),
    },
    "odd values": {
        "f": IterableVariable([np.arange(3), np.ones((2, 2)), uuid.UUID(int=3)]),
        "g": np.arange(5),
        "o": IterableVariable([Odd(), 3]),
        "big": IntegerVariable(2**70, 2**70 + 2),
        "$key": "é",
    },
    "what looks like a variable": {
        "q": {"$IterableVariable": {"iter": [1]}},
        "b": IterableVariable([{"$IterableVariable": 1}]),
        "deep": {"x": LinearVariable(0, 1, 3), "$y": "é", "in": {"Variable": 1}},
    },
    "keys that move together": {
        "a": IntegerVariable(1, 3),
        **zipped(**{"$T": [1.0, nan], "h": ["x", (1,)]}),
        "c": {"d": IterableVariable(["ab"])},
    },
    "keys with holes": {
        "a": IntegerVariable(1, 4),
        **zipped(**{"$T": [1.0, nan], "h": ["x", (1,)]}),
        "c": {"d": LinearVariable(0, 1, 3)},
    },
    "several, with other keys": [
        {"a": IntegerVariable(1, 2), "$b": np.arange(2), "same": 1},
        {"a": 2, "c": {"d": nan}, "same": 1},
        {"e": '{"$absent":true}', "same": 1},
    ],
    "a design": {
        **sampled(3, "random", seed=0, x=(0, 1), o=Choice("a", '"b"')),
        "n": IntegerVariable(1, 2),
    },
    "values that follow": {
        "early": Derived(lambda c: c["a"] * 2),
        "a": IntegerVariable(1, 3),
        "$b": LinearVariable(0, 1, 2),
        "of both": Derived(lambda c: c["a"] + c["$b"]),
        "nan": Derived(lambda _: nan),
        "g": {"all": Derived(lambda c: len(list(c.values())))},
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_same_text(case):
    where = (
        (lambda c: c["a"] + c["c"]["d"] < 3.6) if case == "keys with holes" else None
    )
    experiment = Experiment(
        "x", configuration=CASES[case], function_name="f", where=where
    )
    document = encode_configuration(experiment.configuration).document
    texts = Configurations(document)

    assert len(experiment) == texts.size
    for number in [*range(texts.size), *reversed(range(texts.size))]:
        own = encode_configuration(experiment[number].configuration).document
        assert own == texts[number]


@pytest.mark.parametrize(
    "document",
    [
        *("[]", "{", "1", '{"$tuple":[]}', '{"a":{"$LinearVariable":{}}}', '"a"'),
        '{"a":{"$IterableVariable":{"iter":[]}}}',
        '{"a":{"$IterableVariable":{"iter":{"$range":[0,1000000000000,1]}}}}',
        '{"a":{"$IterableVariable":[]}}',
        '{"a":{"$RepeatVariable":{"value":1,"n":"x"}}}',
        '{"a":{"$RepeatVariable":{"value":1,"n":10000000000000}}}',
        '{"a":{"$IntegerVariable":{"min":0,"max":{"$int":"0x7fffffffffffffffff"}}}}',
        '{"a":{"$ZippedVariable":{"names":["a","b"],"iter":[1]}}}',
        '{"a":{"$ZippedVariable":{"names":3,"iter":[1]}}}',
        '{"a":{"$DerivedVariable":{"source":"","of":[["b"]],"iter":[1]}}}',
        '{"a":{"$DerivedVariable":{"source":"","of":3,"iter":[1]}}}',
        '{"a":{"$MatchIterableVariable":{"iter":[1]}},"b":{"$RepeatVariable":2}}',
        '{"a":' * 5000 + "1" + "}" * 5000,
    ],
)
def test_what_is_no_configuration_is_corrupt(document):
    with pytest.raises(CorruptDocumentError):
        Configurations(document)
