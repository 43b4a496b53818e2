"""`compact`, and the room that `reset` and `delete` give back by themselves."""

from __future__ import annotations

import io
import os
import re
import shutil
import sqlite3

import pytest

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    SerialMode,
    execute,
    open_db,
    save_snapshot_in_global_database,
)
from experimenter_mpi.cli import run_verb
from experimenter_mpi.database import room
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.errors import DatabaseError

MB = 1_000_000


def bulky(configuration, trial_id):
    for step in range(3):
        state = {"step": step, "text": "x" * 300_000}
        save_snapshot_in_global_database(trial_id, state)
    return {"n": configuration["n"]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Make the database once: each test works on a copy of it."""
    path = tmp_path_factory.mktemp("kept") / "x.db"
    with open_db(path.name, path.parent) as database:
        for name in ("one", "two"):
            configuration = {"n": IterableVariable(range(2))}
            experiment = Experiment(name, function=bulky, configuration=configuration)
            execute(experiment, database, SerialMode())
    return path


@pytest.fixture
def path(kept, tmp_path):
    return shutil.copy(kept, tmp_path / "x.db")


@pytest.fixture
def ask(path, capsys):
    def ask(verb, *arguments):
        code = run_verb([verb, str(path), *arguments])
        return code, *capsys.readouterr()

    return ask


def snapshots(path, name="one"):
    with open_db(path.name, path.parent, read_only=True) as database:
        ids = database.get_trials_ids_by_name(name)
        return [len(database.get_snapshots(trial_id)) for trial_id in ids]


@pytest.mark.parametrize(
    "command", [("delete", "one", "--yes"), ("reset", "one", "--all", "--yes")]
)
def test_what_deletes_gives_the_room_back(command, path, ask):
    before = os.path.getsize(path)
    code, _, err = ask(*command)

    assert (0, "") == (code, err)
    assert os.path.getsize(path) < 0.6 * before
    assert [3, 3] == snapshots(path, "two")


def test_room_that_cannot_be_given_back_undoes_and_hides_nothing(
    path, ask, monkeypatch
):
    def fail(*_):
        raise DatabaseError("the disk has no room for that")

    monkeypatch.setattr(room, "_require_room", fail)
    code, out, err = ask("reset", "one", "0", "1", "--yes")

    assert (0, [0, 0]) == (code, snapshots(path))
    assert out.startswith("2 trials of 'one' are pending\nto make it smaller:")
    assert f"compact {path}" in out.replace("\\\n", " ")
    assert err == "the file was not made smaller: the disk has no room for that\n"


def test_a_reader_keeps_the_room_but_not_what_was_deleted(path, ask):
    with (
        open_db(path.name, path.parent) as database,
        session_of(database).storage.writing(),
    ):
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM trials").fetchone()
        database.delete_experiment(database.get_experiment_by_name("one").id)
        with pytest.raises(DatabaseError, match="another program is reading"):
            session_of(database).upkeep.tidy()
        reader.close()

    assert 0 == ask("compact")[0]
    assert [3, 3] == snapshots(path, "two")


def test_an_interruption_comes_after_what_was_asked_for(path, ask, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "_require_room", interrupt)
    code, out, err = ask("delete", "one", "--yes")

    assert (0, "deleted 'one'") == (code, out.splitlines()[0])
    assert "the file was not made smaller: interrupted\n" == err


def test_compact_says_how_large_it_was_and_is(path, ask):
    with open_db(path.name, path.parent) as database:
        database.delete_experiment(database.get_experiment_by_name("one").id)
    code, out, err = ask("compact")

    assert (0, "") == (code, err)
    (before, after) = map(float, re.findall(r"([\d.]+) MB", out))
    assert out == f"{path}: {before} MB before, {after} MB now\n"
    assert after < 0.6 * before
    assert after == round(os.path.getsize(path) / MB, 1)


def test_compact_finds_the_one_database_there_is(path, capsys, monkeypatch):
    monkeypatch.setenv("EXPERIMENTER_DB", str(path))

    assert 0 == run_verb(["compact"])
    assert capsys.readouterr().out.startswith(f"{path}: ")


def test_compact_deletes_snapshots_only_if_it_is_told_and_asks(path, ask, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    first = ask("compact"), snapshots(path)
    refused = ask("compact", "--snapshots", "latest"), snapshots(path)
    done = ask("compact", "--snapshots", "latest", "--yes"), snapshots(path)

    assert (0, [3, 3]) == (first[0][0], first[1])
    assert (3, [3, 3]) == (refused[0][0], refused[1])
    question = "Delete 8 snapshots? Cannot ask, as standard input is not a terminal"
    assert f"{question}: use --yes\n" in refused[0][2]
    assert (0, [1, 1]) == (done[0][0], done[1])
    assert [1, 1] == snapshots(path, "two")
    assert os.path.getsize(path) < 2 * MB


def test_compact_asks_nothing_where_no_snapshot_goes(ask, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert 0 == ask("compact", "--snapshots", "3")[0]


def test_compact_is_refused_while_a_run_writes(path, ask, monkeypatch):
    monkeypatch.setattr("experimenter_mpi.database.file.lock.PATIENCE_SECONDS", 0.0)
    with (
        open_db(path.name, path.parent) as database,
        session_of(database).storage.writing(),
    ):
        code, _, err = ask("compact")

    assert (3, 1) == (code, err.count("\n"))
    assert "is being written" in err
