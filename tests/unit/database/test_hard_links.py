"""A file with two names has two locks: it is read, and not written."""

from __future__ import annotations

import os
import subprocess

import pytest

import experimenter_mpi as em
from experimenter_mpi import DatabaseWriteError
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.doctor import database as storage
from unit.database.making import heat


@pytest.fixture
def linked(db, stored, tmp_path):
    """A database that is `heat.db` and `other name.db`."""
    db.complete_trial(stored.trial_ids[0], {"x": 1})
    os.link(tmp_path / "heat.db", tmp_path / "other name.db")
    return db


WRITES = {
    "begin a run": lambda db, _: session_of(db).storage.writing().__enter__(),
    "store an experiment": lambda db, _: session_of(db).experiments.enrol(
        heat("another")
    ),
    "complete": lambda db, e: db.complete_trial(e.trial_ids[1], {}),
    "reset": lambda db, e: db.mark_trial_as_incomplete(e.trial_ids[0]),
    "save a snapshot": lambda db, e: db.save_snapshot(e.trial_ids[1], {}),
    "delete": lambda db, e: db.delete_experiment(e.id),
    "sweep": lambda db, _: session_of(db).sweep_leftovers(),
}


@pytest.mark.parametrize("name", ["heat.db", "other name.db"])
@pytest.mark.parametrize("what", WRITES)
def test_nothing_is_written_and_the_way_out_is_said(
    linked, stored, open_here, tmp_path, what, name
):
    before = (tmp_path / "heat.db").read_bytes()
    with pytest.raises(DatabaseWriteError, match=f"{name} is one file with 2 names"):
        WRITES[what](open_here(name), stored)

    assert before == (tmp_path / "heat.db").read_bytes()
    assert not list(tmp_path.glob("*.lock"))


def test_it_is_read_under_every_name(linked, stored, open_here):
    for name in ("heat.db", "other name.db"):
        for read_only in (True, False):
            database = open_here(name, read_only=read_only)
            assert database.get_trial(stored.trial_ids[0]).results == {"x": 1}


def test_it_is_merged_from_and_exported_but_not_merged_into(
    linked, open_here, tmp_path
):
    primary = open_here("primary.db")
    primary.merge_databases(linked)
    linked.export_db(tmp_path / "copy.db").close()
    with pytest.raises(DatabaseWriteError, match="2 names"):
        linked.merge_databases(primary)

    for name in ("primary.db", "copy.db"):
        assert len(em.get_experiments(open_here(name))) == 1


def test_the_lock_of_a_dead_run_is_not_taken_over(linked, tmp_path):
    dead = tmp_path / "heat.db.lock"
    dead.write_text("{}")
    os.utime(dead, (1, 1))
    with pytest.raises(DatabaseWriteError, match="2 names"):
        session_of(linked).storage.writing().__enter__()

    assert dead.exists()


def test_the_command_makes_a_file_of_its_own(linked, stored, open_here, tmp_path):
    with pytest.raises(DatabaseWriteError) as refused:
        session_of(open_here("other name.db")).storage.writing().__enter__()
    command = str(refused.value).partition("a separate file with: ")[2]
    subprocess.run(["sh", "-c", command], check=True)

    for name in ("heat.db", "other name.db"):
        with open_here(name) as database:
            database.complete_trial(stored.trial_ids[1], {"by": name})
    with open_here("heat.db") as database:
        assert database.get_trial(stored.trial_ids[1]).results == {"by": "heat.db"}


def test_a_name_that_is_made_while_a_run_goes_on_does_not_stop_it(db, stored, tmp_path):
    """So do programs that make backups; the next run is refused."""
    with session_of(db).storage.writing():
        os.link(tmp_path / "heat.db", tmp_path / "backup.db")
        db.complete_trial(stored.trial_ids[0], {"x": 1})
    with pytest.raises(DatabaseWriteError, match="2 names"):
        session_of(db).storage.writing().__enter__()


def test_doctor_says_so(linked, tmp_path):
    linked.close()
    finding = storage.database(str(tmp_path / "heat.db"))

    assert finding.state == "problem"
    assert "2 names" in finding.text
