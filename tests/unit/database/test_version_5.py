"""NaN and infinities of databases from before: the same values in the new form."""

from __future__ import annotations

import gzip
import math
import shlex
import sqlite3
from pathlib import Path

import pytest

from experimenter_mpi import (
    CorruptDocumentError,
    Experiment,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    SchemaVersionError,
    open_db,
)
from experimenter_mpi.cli import run_verb
from experimenter_mpi.database.file.version_5 import rewritten
from experimenter_mpi.encoding import codec
from support.values import exactly

nan, inf = math.nan, math.inf
# Written by this package when its schema had version 3: 15 trials, of which the last
# three failed, each with a snapshot.
OLD = Path(__file__).parent / "files" / "version_3.db.gz"
ID = "5b7c5e60-4a5e-4c3e-9d61-0a3d4f1f8a11"
CONFIGURATION = {
    "n": LinearVariable(4, 12, 5),
    "limit": IterableVariable([nan, inf, 2]),
    "constant": {"missing": nan, "floor": -inf, "set": {nan, 1.0}},
    "log": LogLinearVariable(1, 1, 1),
    "clock": MatchIterableVariable([nan, *range(14)]),
}


def results(n):
    return {
        "n": n,
        "loss": nan if n == 8 else n / 4,
        "peak": inf if n == 4 else -inf if n == 6 else 0.5,
        "curve": [None, nan, [nan]],
        "pair": (nan, 1),
        "$nan": "the user's own",
        "$float": "nan",
        "text": '{"$float":"nan"}',
        "z": complex(inf, nan),
        "by": {1.5: nan},
        "nothing": None,
    }


def text(configuration):
    """Return its text without the order of its set, which follows NaN's address."""
    constant = configuration["constant"]
    in_order = sorted(map(repr, constant["set"]))
    return repr({**configuration, "constant": {**constant, "set": in_order}})


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(OLD.read_bytes()))
    return path


@pytest.fixture
def db(old):
    with open_db(old.name, old.parent) as database:
        yield database


def test_all_values_come_back_as_they_were(db):
    trials = db.get_trials_by_name("old")

    assert [exactly(results(n)) for n in (4, 6, 8, 10) for _ in range(3)] == [
        exactly(trial.results) for trial in trials[:12]
    ]
    assert [exactly(each) for each in CONFIGURATION["limit"].values] == [
        exactly(trial.configuration["limit"]) for trial in trials[:3]
    ]
    assert exactly(CONFIGURATION["constant"]) == exactly(
        trials[0].configuration["constant"]
    )
    assert ["nan", "0", "1"] == [repr(t.configuration["clock"]) for t in trials[:3]]
    state = {"step": 12, "losses": [nan, None, inf, 1.5], "best": nan}
    assert exactly(state) == exactly(db.latest_snapshot(trials[14].id).state)


def test_the_experiment_is_still_the_same(db):
    """Its text too is what it would be today: nothing has to be compared by value."""
    again = Experiment("old", configuration=CONFIGURATION, function_name="trial")
    restored = db.restore_from_db(again)

    assert ID == str(restored.id)
    assert text(CONFIGURATION) == text(db.get_experiment(ID).configuration)


def test_its_numbers_are_floats_now_and_were_integers_then(db):
    trials = db.get_trials_by_name("clean")
    again = Experiment(
        "clean",
        configuration={"n": LogLinearVariable(1, 100, 3)},
        function_name="trial",
    )
    assert ["1", "10", "100"] == [repr(t.configuration["n"]) for t in trials]
    assert ["1.0", "10.0", "100.0"] == [
        repr(trial.configuration["n"]) for trial in db.restore_from_db(again)
    ]
    other = Experiment(
        "clean",
        configuration={"n": IterableVariable([1, 10, 100])},
        function_name="trial",
    )
    assert again.id == db.restore_from_db(other).id


def test_sql_counts_right(db, old):
    plain = sqlite3.connect(old)
    query = """
        SELECT avg(results ->> '$.loss'), max(results ->> '$.peak'),
               min(results ->> '$.peak')
        FROM trials JOIN experiments ON experiments.id = experiment_id
        WHERE name = 'old'
    """
    assert [((1.0 + 1.5 + 2.5) / 3, inf, -inf)] == plain.execute(query).fetchall()
    left = "SELECT count(*) FROM {} WHERE instr({}, '{{\"$float\"')"
    for table, column in (
        ("experiments", "configuration"),
        ("trials", "configuration"),
        ("snapshots", "state"),
    ):
        assert (0,) == plain.execute(left.format(table, column)).fetchone()
    plain.close()


def test_what_holds_none_of_them_stays_byte_for_byte(old):
    query = "SELECT id, configuration FROM trials WHERE NOT instr(configuration, '$')"
    plain = sqlite3.connect(old)
    before = plain.execute(query).fetchall()
    open_db(old.name, old.parent).close()

    assert 3 == len(before)
    assert before == plain.execute(query).fetchall()
    plain.close()


def test_a_trigger_is_refused_before_anything_is_written(old):
    plain = sqlite3.connect(old)
    plain.execute(
        "CREATE TRIGGER spy AFTER UPDATE ON trials BEGIN DELETE FROM runs; END"
    )
    plain.commit()
    plain.close()
    before = old.read_bytes()
    with pytest.raises(CorruptDocumentError, match="the trigger 'spy'"):
        open_db(old.name, old.parent)

    assert before == old.read_bytes()


@pytest.mark.parametrize(
    "value",
    [
        {"a": {nan, inf, -inf, 1.0, 95.0, None, "z", (1,)}},
        {"a": frozenset([-inf, None, "a"]), "$b": [nan, {"$float": "nan"}]},
        [nan, {"text": "NaN", "$": {nan: inf}}, 2**70, 1e300, "\ud800"],
        nan,
    ],
    # Not repr: a set's differs between processes that share the tests.
    ids=["set", "frozenset", "list", "nan"],
)
def test_a_document_becomes_what_is_written_today(value, monkeypatch):
    today = codec.encode(value).document
    monkeypatch.setitem(codec_leaves(), float, as_version_4)
    before = codec.encode(value).document

    assert '"$float"' in before
    assert today == rewritten(before)


def codec_leaves():
    from experimenter_mpi.encoding import encoder

    return encoder._LEAVES


def as_version_4(value):
    text = repr(value)
    return text if math.isfinite(value) else f'{{"$float":"{text}"}}'


@pytest.mark.parametrize(
    "document",
    [
        '{"$float":',
        '{"$float":"nan"}}',
        '{"a":NaN,"b":"$float"}',
        "[" * 5000 + '"$float"' + "]" * 5000,
        '{"a":' + "9" * 5000 + ',"$float":1}',
    ],
)
def test_what_is_no_document_stays_as_it_is(document):
    assert document == rewritten(document)


@pytest.mark.parametrize(
    "document", ['{"$float":"1"}', '{"$float":[1],"a":1}', '{"a":{"$float":null}}']
)
def test_what_looks_like_one_is_left_to_the_reader(document):
    assert document == rewritten(document)


def test_the_command_that_a_reader_is_told_upgrades_it(old, monkeypatch):
    monkeypatch.setattr("sys.orig_argv", ["python", "experimenter-mpi"])
    with pytest.raises(SchemaVersionError) as refused:
        open_db(old, read_only=True)
    _, command, rest = str(refused.value).split("'")
    called, *words = shlex.split(command)

    assert called == "experimenter-mpi"
    assert run_verb(words) == 0
    assert rest == "; if you cannot write to it, upgrade a copy"
    with open_db(old, read_only=True) as database:
        assert [15, 3] == [len(each) for each in database.get_experiments()]
