"""Copies: each trial has its own of what can be changed, and shares the rest."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import functools
import random
import re
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from experimenter_mpi.encoding.codec import encode
from experimenter_mpi.experiment.copies import copied

WHERE = re.compile("0x[0-9A-Fa-f]+")


class Colour(enum.Enum):
    """Members are themselves, however they are copied."""

    RED = 1


class Point(NamedTuple):
    """As fixed as what it holds."""

    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    """As fixed as what it holds."""

    x: Any
    y: Any = 0


@dataclasses.dataclass
class Model:
    """An object of the user's own."""

    layers: list[int]


class Thawed(Frozen):
    """Not a dataclass itself, so it may have anything else."""


def function():
    """Of a module's."""


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 2**100, 1.5, 1j, "text", b"bytes", range(3), ..., int, function),
        *(uuid.UUID(int=7), dt.date(2024, 2, 29), dt.timedelta(1), dt.timezone.utc),
        *(Decimal("1.5"), Fraction(1, 3), Path("a"), ZoneInfo("Europe/Paris")),
        *(Colour.RED, re.compile("a"), np.float64(1.5), np.datetime64("2024-01-01")),
        *((), (1, "a", (None, Path("a"))), frozenset({1, uuid.UUID(int=7)})),
        *(Point(1, (2,)), Frozen(1, Point("a")), (Frozen(Colour.RED),)),
    ],
    ids=lambda value: WHERE.sub("", repr(value)),
)
def test_what_nobody_can_change_is_shared(value):
    assert copied(value) is value


MUTABLE = [
    *([1], {"a": 1}, {1}, ([1],), (1, (2, {"a": 3}))),
    *(bytearray(b"a"), collections.deque([1], 2), collections.Counter("aab")),
    *(collections.OrderedDict(a=1), collections.defaultdict(list, a=[1])),
    *(Point([1]), Frozen([1]), Model([1]), {"deep": [{"model": Model([1])}]}),
    *(np.arange(3), np.array([[1], "a"], dtype=object), np.ma.masked_equal([1, 2], 2)),
    *(random.Random(1), functools.partial(max, [1])),
]


@pytest.mark.parametrize("value", MUTABLE, ids=lambda value: WHERE.sub("", repr(value)))
def test_everything_else_is_copied(value):
    own = copied(value)

    assert own is not value
    assert type(own) is type(value)
    assert WHERE.sub("", repr(value)) == WHERE.sub("", repr(own))


def test_what_is_inside_is_copied_however_deep():
    value = {"a": [({"b": [1]},)], "frozen": Frozen([1]), "point": Point([1])}
    own = copied(value)
    own["a"][0][0]["b"].append(2)
    own["frozen"].x.append(2)
    own["point"].x.append(2)

    assert {"a": [({"b": [1]},)], "frozen": Frozen([1]), "point": Point([1])} == value


def test_a_frozen_dataclass_of_a_class_that_may_have_more_is_copied():
    value = Thawed(1)
    vars(value)["more"] = [1]

    assert copied(value) is not value
    assert vars(copied(value))["more"] is not vars(value)["more"]


@dataclasses.dataclass(frozen=True)
class Caching:
    """Has state that is no field."""

    x: int

    def __post_init__(self):
        object.__setattr__(self, "cache", [])


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenInSlots:
    """Has none."""

    x: int


def test_a_frozen_dataclass_with_state_beside_its_fields_is_copied():
    value = Caching(1)
    copied(value).cache.append(1)

    assert value.cache == []


def read_only(array):
    array.flags.writeable = False
    return array


READ_ONLY = [
    read_only(np.arange(3)),
    read_only(np.arange(6))[::2],
    read_only(np.arange(6)).reshape(2, 3).T,
    np.frombuffer(b"abc", dtype=np.uint8),
]


@pytest.mark.parametrize("value", [*READ_ONLY, FrozenInSlots(1)], ids=repr)
def test_a_read_only_array_is_shared(value):
    assert copied(value) is value
    assert copied({"large": [value]})["large"][0] is value


@pytest.mark.parametrize(
    "value",
    [
        read_only(np.arange(3)[:]),  # its base can be written
        read_only(np.array([[1], "a"], dtype=object)),
        read_only(np.frombuffer(bytearray(b"abc"), dtype=np.uint8)),
        read_only(np.arange(3).view(np.recarray)),
    ],
    ids=repr,
)
def test_a_read_only_array_that_can_change_by_other_ways_is_copied(value):
    assert copied(value) is not value


@pytest.mark.parametrize(
    "value",
    [
        np.random.default_rng(1),
        np.random.Generator(np.random.Philox(key=3)),
        np.random.Generator(np.random.SFC64(1)),
        np.random.MT19937(1),
        np.random.PCG64DXSM(1),
        np.random.SeedSequence(1, spawn_key=(2, 3)),
        np.random.RandomState(1),
        [np.random.default_rng(1)],
        random.Random(1),
    ],
    ids=lambda value: WHERE.sub("", repr(value)),
)
@pytest.mark.parametrize("version", [np.__version__, "1.26.4"])
def test_a_generator_is_copied_with_its_state_and_its_seed(value, version, monkeypatch):
    """Numpy's own copies have another seed to spawn from before 2.0."""
    monkeypatch.setattr(np, "__version__", version)

    assert encode(value).document == encode(copied(value)).document


def test_a_copy_of_a_generator_goes_its_own_way():
    value = np.random.default_rng(1)
    value.random()
    first, second = copied(value), copied(value)

    assert first.random() == second.random() == value.random()
    assert first.bit_generator.state == second.bit_generator.state


def test_an_object_that_stands_twice_is_one_object_in_the_copy():
    generator = np.random.default_rng(1)
    model = Model([1])
    own = copied({"a": model, "b": [model, generator], "c": generator})

    assert own["a"] is own["b"][0] is not model
    assert own["c"] is own["b"][1] is not generator


def test_a_circle_is_copied_as_a_circle():
    value: list[Any] = [1]
    value.append({"me": value})
    own = copied(value)

    assert own[1]["me"] is own is not value
