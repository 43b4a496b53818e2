"""Rows that this package never wrote: refused in one line, whatever is asked."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from experimenter_mpi import CorruptDocumentError, DatabaseError, ExperimenterError
from experimenter_mpi.cli import run_verb
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding import codec
from unit.database.making import failed, finished, with_rows


@pytest.fixture
def alter(db, stored, tmp_path):
    """Change rows with nothing but sqlite3; give the path of the database."""
    with_rows(db, stored)
    trial_id = stored.trial_ids[0]
    session_of(db).ledger(stored.id).record([failed(1), failed(2)], ())
    db.complete_trial(trial_id, {"field": np.arange(3.0), "n": 1})
    db.save_snapshot(trial_id, {"step": 1}, "half way")
    session_of(db).runs.start(
        stored.id, {"mode": "SerialMode", "ranks": 1, "command_line": "x"}
    )
    db.close()

    def run(*statements):
        plain = sqlite3.connect(tmp_path / "heat.db")
        for statement in statements:
            plain.execute("PRAGMA foreign_keys = OFF")
            plain.execute(statement)
        plain.commit()
        plain.close()
        return str(tmp_path / "heat.db")

    return run


def everything(db):
    """Ask all that can be asked."""
    for row in session_of(db).reports.overview():
        list(session_of(db).reports.trials(row["name"]))
        session_of(db).reports.failures(row["name"], 9)
    for experiment in db.get_experiments():
        db.get_progress(experiment.name)
        db.get_ratio_completed_trials_by_name(experiment.name)
        session_of(db).trials.unfinished(experiment.id)
        for trial in db.get_trials_by_name(experiment.name):
            db.get_snapshots(trial.id)
            db.latest_snapshot(trial.id)
            if trial.has_finished:
                dict(trial.results)


# Of a trial, by the key of its row.
NUMBER = "(key & 1099511627775)"
WRONG = [
    "UPDATE experiments SET id = 'no id'",
    "UPDATE experiments SET name = x'00'",
    "UPDATE experiments SET name = ''",
    "UPDATE experiments SET trial_count = 0",
    "UPDATE experiments SET trial_count = 7",
    "UPDATE experiments SET trial_count = 'many'",
    "UPDATE experiments SET seed = 'many'",
    "UPDATE experiments SET seed = '-1'",
    "UPDATE experiments SET seed = x'31'",
    f"UPDATE experiments SET seed = '{2**128}'",
    "UPDATE experiments SET configuration = '[]'",
    "UPDATE experiments SET configuration = '{'",
    "UPDATE experiments SET trial_prefix = substr(trial_prefix, 1, 23) || 'z'",
    "UPDATE experiments SET sequence = 9000000",
    "UPDATE experiments SET sequence = -1",
    f"UPDATE trial_records SET configuration = x'7b7d' WHERE {NUMBER} = 3",
    f"UPDATE trial_records SET status = x'35' WHERE {NUMBER} = 1",
    f"UPDATE trial_records SET status = 4 WHERE {NUMBER} = 1",
    f"UPDATE trial_records SET results = zeroblob(9) WHERE {NUMBER} = 0",
    "UPDATE trial_records SET duration = 'long'",
    "UPDATE trial_records SET started_at = 1e300",
    "UPDATE trial_records SET finished_at = -1",
    "UPDATE trial_places SET rank = 'first'",
    "UPDATE trial_errors SET error = x'00'",
    "UPDATE trial_counts SET finished = 'many'",
    "UPDATE snapshots SET id = 'x'",
    "UPDATE snapshots SET state = x'31'",
    "UPDATE snapshots SET label = x'00'",
    "UPDATE arrays SET data = 9000000000000",
    "UPDATE arrays SET data = 'text'",
    "UPDATE arrays SET shape = '3'",
    "UPDATE arrays SET shape = '[-3]'",
    "UPDATE arrays SET shape = '" + "[" * 10_000 + "'",
    "UPDATE arrays SET file = 5, data = NULL",
    "UPDATE runs SET mode = x'00'",
]


@pytest.mark.parametrize("statement", WRONG, ids=lambda text: text[:60])
def test_a_row_that_we_never_wrote_is_corrupt(alter, open_here, statement):
    alter(statement)
    with (
        open_here(read_only=True) as db,
        pytest.raises(CorruptDocumentError, match=r"heat\.db") as caught,
    ):
        everything(db)

    assert "\n" not in str(caught.value)


ENDLESS = {
    "a linear variable": {"$LinearVariable": {"min": 0, "max": 1, "n": 10**13}},
    "an integer one": {"$IntegerVariable": {"min": 0, "max": 10**30, "step": 1}},
    "a repeated one": {"$RepeatVariable": {"value": 0, "n": 10**30}},
    "a range": {"$IterableVariable": {"iter": {"$range": [0, 10**12, 1]}}},
}


@pytest.mark.parametrize("case", ENDLESS)
@pytest.mark.parametrize("count", [6, 10**12, 10**13])
def test_a_variable_of_more_values_than_trials_is_not_expanded(
    alter, open_here, case, count
):
    text = json.dumps({"N": ENDLESS[case]})
    alter(f"UPDATE experiments SET configuration = '{text}', trial_count = {count}")
    with open_here(read_only=True) as db, pytest.raises(CorruptDocumentError):
        db.get_experiment_by_name("heat")


@pytest.mark.parametrize("kind", ["Linear", "LogLinear", "Integer", "Repeat"])
def test_a_few_bytes_that_say_many_trials_do_not_fill_the_memory(
    alter, open_here, kind
):
    """Such a grid is nothing wrong, and each of its trials can be looked at."""
    said = {
        "Linear": {"min": 1, "max": 2, "n": 10**12},
        "LogLinear": {"min": 1, "max": 2, "n": 10**12},
        "Integer": {"min": 1, "max": 10**12, "step": 1},
        "Repeat": {"value": 3, "n": 10**12},
    }
    text = json.dumps({"N": {f"${kind}Variable": said[kind]}})
    path = alter(
        f"UPDATE experiments SET configuration = '{text}', trial_count = {10**12}"
    )
    with open_here(read_only=True) as db:
        experiment = db.get_experiment_by_name("heat")
        assert 10**12 == len(experiment)
        last = db.get_trial(experiment.trial_ids[10**12 - 1])
        assert experiment[10**12 - 1].configuration == last.configuration
        for ask in (db.get_trials_by_name, db.get_progress, db.get_trials_ids_by_name):
            with pytest.raises(DatabaseError, match="too many for a list"):
                ask("heat")
    for verb in (("reset", "heat", "--all", "--yes"), ("delete", "heat", "--yes")):
        assert {0} == {*run_all(path), run_verb([verb[0], path, *verb[1:]])} - {3}


def test_mentions_of_one_array_cannot_fill_the_memory(monkeypatch):
    array = np.zeros(1000)
    encoded = codec.encode({"all": [array] * 5})
    monkeypatch.setattr(codec, "MAX_REPEATED_BYTES", 3 * array.nbytes)

    with pytest.raises(CorruptDocumentError, match="MAX_REPEATED_BYTES"):
        codec.decode(encoded.document, lambda _: array.copy())
    monkeypatch.setattr(codec, "MAX_REPEATED_BYTES", 4 * array.nbytes)
    assert 5 == len(codec.decode(encoded.document, lambda _: array.copy())["all"])


def test_a_document_larger_than_the_memory_is_said_to_be():
    def load(_):
        raise MemoryError

    with pytest.raises(CorruptDocumentError, match="more memory than there is"):
        codec.decode('{"$array":"' + "0" * 32 + '"}', load)


VERBS = [
    *(("status",), ("status", "--json"), ("status", "heat")),
    *(("show", "heat:0"), ("show", "heat:1"), ("show", "heat:0", "--json")),
    *(("results", "heat"), ("results", "heat", "--csv"), ("results", "heat", "--json")),
]


def run_all(path):
    """Run every verb; give their exit codes."""
    return {run_verb([verb[0], path, *verb[1:]]) for verb in VERBS}


CODES = "char(27, 93, 48, 7, 155, 13)"


def test_no_verb_lets_a_database_command_the_terminal(alter, capsys):
    label, said = "char(27, 91, 50, 74)", f"{CODES}, {CODES}, {CODES}"
    path = alter(
        f"INSERT OR REPLACE INTO trial_errors SELECT key, {said} FROM trial_records",
        f"UPDATE trial_places SET hostname = {CODES}",
        f"UPDATE snapshots SET label = {label}",
        f"UPDATE runs SET mode = {label}, command_line = 'python ''' || {label}",
        'UPDATE trial_records SET configuration = \'{"\\u001b[2J": "\\u001b[2J"}\'',
    )
    for verb in VERBS:
        assert 0 == run_verb([verb[0], path, *verb[1:]])
        out = capsys.readouterr().out
        # CSV is for programs; a terminal is shown it like the rest.
        assert "--csv" in verb or out.replace("\n", "").isprintable()


def test_csv_on_a_terminal_does_not_command_it(alter, capsys, monkeypatch):
    path = alter(
        'UPDATE trial_records SET configuration = \'{"\\u001b[2J": "\\u001b"}\''
    )
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    assert 0 == run_verb(["results", path, "heat", "--csv"])
    assert "\x1b" not in capsys.readouterr().out


def test_errors_do_not_command_the_terminal_either(alter, capsys):
    path = alter("UPDATE experiments SET name = char(27, 91, 50, 74)")

    assert 3 == run_verb(["show", path, "heat:1"])

    assert capsys.readouterr().err.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "document",
    ["", "[1]", "{", "[" * 100_000, "9" * 5000, '{"a":' * 700 + "1" + "}" * 700],
    ids=lambda text: text[:9],
)
def test_no_verb_prints_a_traceback_for_a_document(alter, document):
    path = alter(f"UPDATE trial_records SET configuration = '{document}'")

    assert {0, 3} >= run_all(path)


def test_tags_that_contradict_themselves_are_shown(alter):
    tags = [
        {"$array": 1, "shape": 3},
        {"$complex": 1},
        {"$complex": [1]},
        {"$pickle": [], "type": {}},
        {"$array": "x", "shape": [[], {}]},
    ]
    document = json.dumps(dict(enumerate(tags)))
    path = alter(f"UPDATE trial_records SET configuration = '{document}'")

    assert {0} == run_all(path)


@pytest.mark.parametrize("column", ["attempts", "status", "configuration"])
def test_no_verb_prints_a_traceback_for_bytes_in_a_column(alter, column):
    path = alter(f"UPDATE trial_records SET {column} = x'00ff' WHERE {NUMBER} = 3")

    assert {0, 3} >= run_all(path)


# In these, too: one trial, of an index that no memory has room for.
MOVED = f"UPDATE trial_records SET key = key - 5 + {10**12 - 1} WHERE {NUMBER}"
COUNTS = {
    "too few": ("UPDATE experiments SET trial_count = 1",),
    "one more": ("UPDATE experiments SET trial_count = 7",),
    "many": (f"UPDATE experiments SET trial_count = {10**12}",),
    "the most": (f"UPDATE experiments SET trial_count = {2**63 - 1}",),
    "a far trial": (f"UPDATE experiments SET trial_count = {10**12}", f"{MOVED} = 5"),
    "no trial": ("DELETE FROM trial_records",),
}


@pytest.mark.parametrize("case", COUNTS)
def test_nothing_goes_by_a_number_of_trials_that_is_only_claimed(alter, case, capsys):
    path = alter(*COUNTS[case])
    verbs = [
        *(("reset", "heat", "--all", "--yes"), ("reset", "heat", "3-5", "--yes")),
        *(("reset", "heat", "--failed", "--yes"), ("show", f"heat:{10**12 - 2}")),
        ("delete", "heat", "--yes"),
    ]
    for verb in (*VERBS, *verbs):
        assert run_verb([verb[0], path, *verb[1:]]) in {0, 3}
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 7, 10**12])
def test_a_wrong_number_of_trials_is_said_and_not_shown(
    alter, open_here, stored, count
):
    """Those without a row would all count as pending, or fewer than none."""
    alter(f"UPDATE experiments SET trial_count = {count}")
    with open_here(read_only=True) as db:
        for question in (
            session_of(db).reports.overview,
            lambda: session_of(db).trials.counts(stored.id),
            lambda: db.get_ratio_completed_trials_by_name("heat"),
            lambda: db.get_progress("heat"),
        ):
            with pytest.raises(CorruptDocumentError, match="trial_count"):
                question()


def test_copies_of_a_damaged_database_are_not_made(alter, open_here, tmp_path):
    alter(f"UPDATE trial_records SET attempts = 'x' WHERE {NUMBER} = 3")
    with open_here(read_only=True) as db:
        with pytest.raises(ExperimenterError, match="attempts"):
            db.export_db(tmp_path / "copy.db")
        with open_here("other.db") as other, pytest.raises(ExperimenterError):
            other.merge_databases(db)

    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("dtype", ["1x", "[]]", '[["a",1,2]]', '"<f"', "[" * 9000])
def test_an_array_of_no_type_is_not_copied(alter, open_here, tmp_path, dtype):
    alter(f"UPDATE arrays SET dtype = '{dtype}', data = NULL, file = 'ab/c.h5'")
    with (
        open_here(read_only=True) as db,
        pytest.raises(CorruptDocumentError, match="has the invalid type"),
    ):
        db.export_db(tmp_path / "copy.db")


@pytest.mark.parametrize(
    "column",
    ["shape = '[9223372036854775808]'", """dtype = '"<f99999999999999999999"'"""],
)
def test_an_array_larger_than_any_number_of_sqlite_is_not_copied(
    alter, open_here, tmp_path, column
):
    alter(f"UPDATE arrays SET {column}, data = NULL, file = 'ab/c.h5'")
    with (
        open_here(read_only=True) as db,
        pytest.raises(CorruptDocumentError, match="bytes by its type and shape"),
    ):
        db.export_db(tmp_path / "copy.db")


def test_an_index_in_no_order_does_not_keep_us_for_ever(db, stored):
    """A page of a damaged index may lead back to where the reading began."""
    from experimenter_mpi.database.file.rows import BadRowError, later

    assert "b" == later("a", "b")
    for before, after in (("b", "a"), ("b", "b"), (2, 1)):
        with pytest.raises(BadRowError, match="out of order"):
            later(before, after)


def test_trials_of_a_run_that_failed_are_read(db, stored):
    session_of(db).ledger(stored.id).record([failed(0), finished(1)], ())

    assert ["failed", "finished"] == [
        trial.status for trial in db.get_trials_by_name("heat")[:2]
    ]
