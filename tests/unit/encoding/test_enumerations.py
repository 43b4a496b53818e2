"""Members of enumerations: stored by name, read back without importing anything."""

from __future__ import annotations

import contextlib
import enum
import json
import sqlite3
import sys
import types

import pytest

from experimenter_mpi import (
    Experiment,
    ExperimentMismatchError,
    IterableVariable,
    open_db,
)
from experimenter_mpi.cli.texts import short, text
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import decode, encode
from experimenter_mpi.encoding.enumerations import EnumMember
from experimenter_mpi.errors import CorruptDocumentError, EncodingError


class Colour(enum.Enum):
    """Neither a number nor a text."""

    RED = "red"
    BLUE = 2
    ALSO_RED = "red"  # noqa: PIE796 - an alias


class Planet(enum.Enum):
    """Its values are more than JSON has."""

    EARTH = (5.976e24, 6.37814e6)

    @property
    def value(self):
        raise AssertionError


class Solver(str, enum.Enum):
    """A text."""

    EULER = "euler"


class Level(enum.IntEnum):
    """A number."""

    HIGH = 3


class Weight(float, enum.Enum):
    """A number with a point."""

    HALF = 0.5


class Perm(enum.Flag):
    """Several at once."""

    R = 1
    W = 2
    X = 4
    RW = 3


class Bits(enum.IntFlag):
    """Several at once, which are a number together."""

    A = 1
    B = 2


class Outer:
    """Holds another class."""

    class Inner(enum.Enum):
        """Is held."""

        ONE = 1


MEMBERS = [
    Colour.RED,
    Colour.BLUE,
    Planet.EARTH,
    Solver.EULER,
    Level.HIGH,
    Weight.HALF,
    Perm.R,
    Perm.RW,
    Perm.R | Perm.X,
    Perm(0),
    Bits.A | Bits.B,
    Bits(0),
    Outer.Inner.ONE,
]


def encoded(value):
    found = encode(value)
    assert not found.pickled
    return found.document


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_a_member_comes_back_as_itself(member):
    assert member is decode(encoded(member))
    value = {"a": [member, (member,)], "b": {member: 1}, "c": {member}}

    again = decode(encoded(value))

    assert value == again
    assert again["a"][0] is again["a"][1][0] is member


def test_a_text_that_is_a_key_stays_a_readable_key():
    assert '{"euler":1}' == encoded({Solver.EULER: 1})


def test_name_and_value_can_be_queried_by_sqlite():
    document = encoded({"solver": Solver.EULER, "level": Level.HIGH, "c": Colour.RED})
    paths = "solver.value", "level.value", 'c."$enum"', "c.value", "c.class", "c.module"
    columns = ", ".join(f"'{document}' ->> '$.{path}'" for path in paths)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        row = connection.execute(f"SELECT {columns}").fetchone()

    assert ("euler", 3, "RED", "red", "Colour", __name__) == row


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (Colour.RED, "RED"),
        (Solver.EULER, "euler"),
        (Level.HIGH, "3"),
        (Weight.HALF, "0.5"),
        (Perm.R | Perm.X, "R|X"),
        ([Colour.RED, Solver.EULER, Level.HIGH], '["RED", "euler", 3]'),
    ],
    ids=repr,
)
def test_a_member_is_shown_by_its_name_or_as_the_value_that_it_is(member, expected):
    value = json.loads(encoded(member))

    assert expected == text(value) == short(value)


# --- where the class is not what it was


@pytest.fixture
def script(monkeypatch):
    """Make a module with an enumeration, as loading a script does."""

    def make(body="RED = 1", kind="Enum", name="exp_of_mine"):
        module = types.ModuleType(name)
        source = f"import enum\nclass Colour(enum.{kind}):\n    {body}\n"
        exec(source, module.__dict__)  # noqa: S102
        monkeypatch.setitem(sys.modules, name, module)
        return module.Colour

    return make


@pytest.fixture
def document(script):
    return encoded({"colour": script().RED})


def test_where_its_class_is_not_loaded_a_member_is_readable(document, monkeypatch):
    monkeypatch.delitem(sys.modules, "exp_of_mine")

    member = decode(document)["colour"]

    assert EnumMember("RED", 1, "Colour", "exp_of_mine") == member
    assert ("RED", 1, "Colour.RED") == (member.name, member.value, str(member))
    assert "<Colour.RED: 1>" == repr(member)
    assert {member} == {decode(document)["colour"]}
    assert "exp_of_mine" not in sys.modules


@pytest.mark.parametrize(("kind", "value"), [("IntEnum", 1), ("IntFlag", 1)])
def test_a_number_whose_class_is_not_loaded_is_that_number(
    kind, value, script, monkeypatch
):
    document = encoded(script(kind=kind).RED)
    monkeypatch.delitem(sys.modules, "exp_of_mine")

    assert (int, value) == (type(decode(document)), decode(document))


def test_a_member_that_was_not_loaded_is_stored_again_as_it_was(document, monkeypatch):
    monkeypatch.delitem(sys.modules, "exp_of_mine")

    assert document == encoded(decode(document))


@pytest.mark.parametrize("body", ["RED = 2", "BLUE = 1", "RED = '1'"])
def test_a_member_that_is_another_by_now_is_not_taken_for_it(document, script, body):
    script(body)

    assert isinstance(decode(document)["colour"], EnumMember)


def test_a_flag_that_is_gone_is_not_made_up(script):
    document = encoded(script("R = 1; W = 2", "Flag")(3))
    script("R = 1", "Flag")

    assert isinstance(decode(document), EnumMember)


@pytest.mark.parametrize(
    ("stored_as", "loaded_as"),
    [("exp", "experiment_exp"), ("experiment_exp", "exp"), ("my-exp", "my-exp")],
)
def test_a_script_is_found_by_the_name_it_is_loaded_by_now(
    stored_as, loaded_as, script, monkeypatch
):
    document = encoded(script(name=stored_as).RED)
    monkeypatch.delitem(sys.modules, stored_as)
    colour = script(name=loaded_as)

    assert colour.RED is decode(document)


def test_reading_imports_nothing_and_calls_nothing(monkeypatch):
    trap = types.ModuleType("trap")
    trap.__getattr__ = pytest.fail
    monkeypatch.setitem(sys.modules, "trap", trap)

    for module, name in (("antigravity", "X"), ("trap", "X.Y"), ("os", "environ")):
        tag = {"$enum": "A", "class": name, "module": module, "value": 1}
        assert isinstance(decode(json.dumps(tag)), EnumMember)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "tag",
    [
        {"$enum": 1, "class": "C", "module": "m"},
        {"$enum": "A", "class": None, "module": "m"},
        {"$enum": "A", "class": "C"},
        {"$enum": "A", "class": "C", "module": "m", "base": "int", "value": "1"},
        {"$enum": "A", "class": "C", "module": "m", "base": "list", "value": []},
        {"$enum": "A", "class": "C", "module": "m", "more": 1},
    ],
    ids=str,
)
def test_what_is_no_member_is_corrupt(tag):
    with pytest.raises(CorruptDocumentError):
        decode(json.dumps(tag))


def test_a_class_inside_of_a_function_is_refused_unless_its_members_are_values():
    class Local(enum.Enum):
        ONE = 1

    class Number(enum.IntEnum):
        ONE = 1

    with pytest.raises(EncodingError, match=r"Local, which cannot be stored"):
        encode({"n": Local.ONE})
    assert '{"n":1}' == encoded({"n": Number.ONE})


# --- the same experiment


@pytest.fixture
def db():
    with open_db("", in_memory=True) as database:
        yield database


def heat(**configuration):
    return Experiment("heat", function_name="f", configuration=configuration)


def test_an_experiment_of_members_is_the_stored_one(db):
    first = heat(colour=IterableVariable(Colour), perm=Perm.R | Perm.X)
    session_of(db).experiments.enrol(first)

    again = heat(colour=IterableVariable([Colour.RED, Colour.BLUE]), perm=Perm(5))

    assert first.id == db.restore_from_db(again).id
    assert Colour.BLUE is db.get_experiment_by_name("heat")[1].configuration["colour"]


def test_one_that_was_stored_as_plain_numbers_and_texts_still_is(db):
    first = heat(level=IterableVariable([3, 4]), solver="euler")
    session_of(db).experiments.enrol(first)

    again = heat(level=IterableVariable([Level.HIGH, 4]), solver=Solver.EULER)

    assert first.id == db.restore_from_db(again).id


def test_a_script_that_is_loaded_by_another_name_has_the_same_members(db, script):
    first = heat(colour=script(name="one_name").RED)
    session_of(db).experiments.enrol(first)

    assert first.id == db.restore_from_db(heat(colour=script(name="other").RED)).id


@pytest.mark.parametrize("body", ["RED = 2", "BLUE = 1"])
def test_other_members_are_another_experiment(db, script, body):
    session_of(db).experiments.enrol(heat(colour=script().RED))
    colour = next(iter(script(body)))

    with pytest.raises(ExperimentMismatchError, match=r"colour: <Colour.RED: 1> -> "):
        db.restore_from_db(heat(colour=colour))
    with pytest.raises(ExperimentMismatchError, match=r"colour: <Colour.RED: 1> -> 1"):
        db.restore_from_db(heat(colour=1))
