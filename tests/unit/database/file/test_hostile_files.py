"""A database of a stranger: what its files and its schema must not make us do."""

from __future__ import annotations

import json
import os
import signal
import sqlite3

import pytest

from experimenter_mpi import (
    CorruptDocumentError,
    DatabaseError,
    DatabaseLockedError,
    DatabaseWriteError,
)
from experimenter_mpi.database.file.owner import Owner, read_owner, this_process
from experimenter_mpi.database.handle import session_of
from unit.database.making import heat

# Begins to change argv[1] and is killed before it has: a hot journal is left.
KILLED = """
import os, signal, sqlite3, sys
plain = sqlite3.connect(sys.argv[1], isolation_level=None)
plain.execute("PRAGMA cache_size = 5")
plain.execute("BEGIN IMMEDIATE")
plain.execute("UPDATE experiments SET function_name = printf('%.90000c', 'y')")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def alter(db, stored, tmp_path):
    """Change the file with nothing but sqlite3, as its author might have."""

    def run(*statements):
        db.close()
        plain = sqlite3.connect(tmp_path / "heat.db")
        for statement in statements:
            plain.execute(statement)
        plain.commit()
        plain.close()

    return run


def rebuilt(table, sql):
    """Statements that replace a table by whatever SQL makes."""
    return (
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET sql = {sql} WHERE name = '{table}'",
    )


BOMB = "BEGIN DELETE FROM runs; END"
ENDLESS = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    "statements",
    [
        (f"CREATE TRIGGER bomb AFTER UPDATE ON trial_records {BOMB}",),
        (f"CREATE TRIGGER bomb INSTEAD OF UPDATE ON trials {BOMB}",),
        (
            "DROP VIEW trials",
            "ALTER TABLE trial_records RENAME TO trials",
            f"CREATE VIEW trial_records AS {ENDLESS} SELECT i AS key FROM n",
        ),
        ("DROP VIEW trials", f"CREATE VIEW trials AS {ENDLESS} SELECT i AS id FROM n"),
        ("DROP VIEW trials",),
        ("DROP VIEW trials", "CREATE TABLE trials (id TEXT)"),
        ("DROP TABLE runs",),
        ("ALTER TABLE trial_records ADD COLUMN x AS (hex(zeroblob(500000000)))",),
        rebuilt("runs", "replace(sql, 'ended TEXT', 'ended TEXT DEFAULT (hex(1))')"),
        rebuilt("runs", "replace(sql, 'ended TEXT', 'ended TEXT CHECK (1)')"),
        rebuilt("runs", "replace(sql, 'ended TEXT', 'ended TEXT COLLATE NOCASE')"),
        rebuilt("runs", "replace(sql, 'ended', 'finish')"),
        ("CREATE INDEX bomb ON trial_records (hex(zeroblob(50)))",),
        ("CREATE INDEX bomb ON trial_records (run_id) WHERE length(results) > 3",),
    ],
)
def test_a_schema_that_does_something_is_refused(
    alter, open_here, statements, read_only
):
    alter(*statements)

    with pytest.raises(CorruptDocumentError, match=r"heat\.db") as caught:
        open_here(read_only=read_only)

    assert "\n" not in str(caught.value)


def test_a_table_of_a_virtual_kind_is_refused(alter, open_here):
    columns = "sequence, id, trial_id, label, state, created_at"
    alter(
        "DROP TABLE snapshots", f"CREATE VIRTUAL TABLE snapshots USING fts5({columns})"
    )

    with pytest.raises(CorruptDocumentError, match="'snapshots' differs from"):
        open_here(read_only=True)


def test_what_people_add_to_analyse_their_results_stays_allowed(alter, open_here):
    alter(
        "CREATE VIEW done AS SELECT * FROM trials WHERE status = 'finished'",
        "CREATE TABLE notes (trial TEXT, note TEXT)",
        "CREATE INDEX by_run ON trial_records (run_id)",
        "ALTER TABLE trial_records ADD COLUMN note TEXT",
    )
    with open_here() as db:
        db.complete_trial(db.get_trials_ids_by_name("heat")[0], {"a": 1})

        assert {"a": 1} == db.get_trials_by_name("heat")[0].results


@pytest.mark.parametrize("read_only", [True, False])
def test_a_journal_that_names_another_file_is_not_rolled_back(
    db, stored, child, open_here, tmp_path, read_only
):
    """SQLite would delete that file, which may be any."""
    session_of(db).experiments.enrol(heat("more", N=1, field="x" * 10_000))
    db.close()
    assert child(KILLED, str(tmp_path / "heat.db")).end() == -signal.SIGKILL
    victim = tmp_path / "precious.txt"
    victim.write_text("keep me")
    name = str(victim).encode()
    journal = tmp_path / "heat.db-journal"
    page = (0x40000000 // 4096 + 1).to_bytes(4, "big")
    checked = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big")
    with journal.open("ab") as file:
        file.write(page + name + checked + bytes.fromhex("d9d505f920a163d7"))

    with pytest.raises(CorruptDocumentError, match="names another file"):
        open_here(read_only=read_only).complete_trial(stored.trial_ids[0], {})

    assert "keep me" == victim.read_text()


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm", ".lock"])
@pytest.mark.parametrize("read_only", [True, False])
def test_pipes_and_links_beside_the_file_are_refused(
    db, open_here, tmp_path, end, read_only
):
    db.close()
    beside = tmp_path / f"heat.db{end}"
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        make(beside)
        with pytest.raises(DatabaseError, match=f"heat.db{end} is not a regular file"):
            open_here(read_only=read_only)
        beside.unlink()


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "/../../elsewhere"},
        {"token": ["x"]},
        {"pid": "1"},
        {"pid": -1},
        {"pid": 2**40},
        {"pid_start": 2**70},
        {"host": None},
        {"host": "\x1b[2Jnode"},
        {"job_id": "x" * 1000},
        {"since": {}},
    ],
)
def test_a_lock_file_of_a_stranger_is_not_believed(db, tmp_path, changes):
    path = tmp_path / "heat.db.lock"
    path.write_text(json.dumps({**json.loads(this_process().text()), **changes}))

    assert Owner("unreadable") == read_owner(str(path))
    with pytest.raises(DatabaseLockedError, match="an unknown process"):
        session_of(db).experiments.enrol(heat())


def test_a_lock_file_without_end_is_read_no_further(tmp_path):
    path = tmp_path / "heat.db.lock"
    path.write_text("[" * 100_000)

    assert Owner("unreadable") == read_owner(str(path))


def test_a_file_opened_for_reading_cannot_be_written(open_here, db, stored):
    with pytest.raises(DatabaseWriteError, match="read_only"):
        open_here(read_only=True).delete_experiment(stored.id)
