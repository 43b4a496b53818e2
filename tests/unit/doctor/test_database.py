"""What doctor says of the place of the database, tried with real files."""

from __future__ import annotations

import os
import shutil
import types

import pytest

from experimenter_mpi import Experiment, open_db
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.doctor import database as storage


def test_a_database_that_is_not_there_yet_is_fine(tmp_path):
    path = str(tmp_path / "no" / "such" / "heat.db")

    assert "ok" == storage.database(path).state
    assert str(tmp_path) == storage.folder_of(path)
    assert not os.path.exists(tmp_path / "no")


@pytest.fixture
def stored(tmp_path):
    with open_db("heat.db", tmp_path) as db:
        session_of(db).experiments.enrol(
            Experiment("heat", function_name="f", configuration={})
        )
        yield db


def test_a_database_is_described_by_its_experiments(stored):
    assert storage.database(stored.path).text.endswith("heat.db; experiments: heat")


def test_a_database_that_is_being_written_is_a_problem(stored):
    with session_of(stored).storage.writing():
        found = storage.database(stored.path)

    assert "problem" == found.state and "another run" in found.text


def test_an_empty_file_is_what_a_run_makes_a_database_of(tmp_path):
    (tmp_path / "heat.db").touch()

    assert "ok" == storage.database(str(tmp_path / "heat.db")).state


@pytest.mark.parametrize("path", ["", ".", "results/"])
def test_a_folder_is_no_database_nor_is_an_empty_name(path, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)

    found = storage.database(path)

    assert "problem" == found.state and "is a folder" in found.text


def test_a_database_that_only_others_may_write_is_a_problem(stored, monkeypatch):
    """Root, who may run this test, may write everything."""
    monkeypatch.setattr("os.access", lambda _path, mode: mode != os.W_OK)

    found = storage.database(stored.path)

    assert "problem" == found.state and "cannot be written by you" in found.text


def test_another_programs_file_is_a_problem_and_left_as_it_is(tmp_path):
    (tmp_path / "heat.db").write_text("letters")

    assert "problem" == storage.database(str(tmp_path / "heat.db")).state
    assert "letters" == (tmp_path / "heat.db").read_text()


@pytest.mark.parametrize(
    ("kind", "states", "said"),
    [
        ("ext4", ["ok"], "write-ahead log is used"),
        ("lustre", ["ok"], "on lustre, which hosts may share: a rollback journal"),
        (None, ["ok"], "unknown type"),
        ("tmpfs", ["ok", "note"], "which is local to this host"),
    ],
)
def test_the_file_system_says_which_journal_is_used(
    tmp_path, monkeypatch, kind, states, said
):
    monkeypatch.setattr(storage.filesystem, "kind_of", lambda _path: kind)
    found = list(storage.file_system(str(tmp_path / "heat.db")))

    assert states == [finding.state for finding in found]
    assert said in found[0].text


@pytest.mark.parametrize(("free", "state"), [(1 << 20, "note"), (1 << 40, "ok")])
def test_little_room_is_noticed(tmp_path, monkeypatch, free, state):
    usage = types.SimpleNamespace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)

    assert state == storage.room(str(tmp_path / "heat.db")).state


def test_a_folder_with_working_locks_is_fine_and_left_empty(tmp_path):
    assert "ok" == storage.locking(str(tmp_path / "heat.db")).state
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_a_problem():
    found = storage.locking("/proc/self/heat.db")

    assert "problem" == found.state and "cannot be written" in found.text


def test_locks_that_keep_nobody_out_are_a_problem(tmp_path, monkeypatch):
    """As on a file system that was mounted without them."""
    monkeypatch.setattr(storage, "_gets_in", lambda _path: True)
    found = storage.locking(str(tmp_path / "heat.db"))

    assert "problem" == found.state and "have no effect" in found.text
    assert [] == list(tmp_path.iterdir())
