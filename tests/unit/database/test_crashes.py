"""Killed in the middle, refused by the disk: what was committed is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading

import pytest

from experimenter_mpi import (
    CorruptDocumentError,
    DatabaseError,
    DatabaseLockedError,
    DatabaseWriteError,
    ExperimenterError,
    IntegerVariable,
)
from experimenter_mpi.database.file import engine, filesystem, header, storage
from experimenter_mpi.database.handle import session_of
from unit.database.making import finished, heat

# Opens argv[1], stores 500 trials, then is in the middle of storing others.
WRITER = """
import sys
from experimenter_mpi import Experiment, IntegerVariable, open_db
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.database.file import engine, filesystem
from experimenter_mpi.database.lookup import trial_keys
if sys.argv[2] == "shared":
    filesystem.is_local = lambda path: False
def heat(name, n):
    values = IntegerVariable(1, n)
    return Experiment(name, configuration={"N": values}, function_name="f")
db = open_db(sys.argv[1], "")
with session_of(db).storage.writing():
    engine.raw(session_of(db).storage._connection).execute("PRAGMA cache_size = 5")
    session_of(db).experiments.enrol(heat("first", 500))
    second = heat("second", 8000)
    with session_of(db).storage.transaction() as connection:
        session_of(db).experiments.enrol(second)
        keys = trial_keys(session_of(db).storage, connection, second.id)
        keys.insert(connection, range(4000))
        print("in the middle", flush=True)
        sys.stdin.readline()
        keys.insert(connection, range(4000, 8000))
    print("done", flush=True)
"""


@pytest.fixture(params=["local", "shared"])
def writer(request, child, tmp_path):
    """A process in the middle of a transaction that has reached the disk."""
    process = child(WRITER, str(tmp_path / "heat.db"), request.param)
    assert process.line() == "in the middle"
    process.kind = request.param
    return process


def names(db):
    return [each.name for each in db.get_experiments()]


def test_readers_read_while_a_writer_writes(writer, open_here):
    """On a laptop there is a WAL; elsewhere a reader waits for the commit."""
    if writer.kind == "shared":
        writer.say("go on")
    with open_here(read_only=True) as reader:
        if writer.kind == "local":
            assert names(reader) == ["first"]
            assert len(reader.get_trials_by_name("first")) == 500
            writer.say("go on")
        assert writer.line() == "done"
        assert writer.end() == 0
        assert names(reader) == ["first", "second"]


@pytest.mark.parametrize("read_only", [False, True])
def test_after_a_kill_what_was_committed_is_there(
    writer, open_here, tmp_path, read_only
):
    writer.kill()
    expected = {"local": "heat.db-wal", "shared": "heat.db-journal"}
    assert expected[writer.kind] in os.listdir(tmp_path)
    with open_here(read_only=read_only) as db:
        assert names(db) == ["first"]
        assert (
            session_of(db).trials.counts(db.get_experiments()[0].id)["pending"] == 500
        )


def test_a_journal_is_not_rolled_back_into_a_file_with_two_names(
    open_here, child, tmp_path
):
    """Under the other name it may have been written since."""
    writer = child(WRITER, str(tmp_path / "heat.db"), "shared")
    assert writer.line() == "in the middle"
    writer.kill()
    os.link(tmp_path / "heat.db", tmp_path / "other.db")
    before = (tmp_path / "heat.db").read_bytes()
    with pytest.raises(DatabaseWriteError, match="2 names"):
        open_here("heat.db", read_only=True)

    assert before == (tmp_path / "heat.db").read_bytes()


def test_a_reader_that_was_open_goes_on_after_a_kill(open_here, child, tmp_path):
    reader = open_here()
    writer = child(WRITER, str(tmp_path / "heat.db"), "shared")
    assert writer.line() == "in the middle"
    writer.kill()

    assert names(reader) == ["first"]


def test_after_a_kill_the_next_run_goes_on_and_leaves_one_sound_file(
    writer, open_here, tmp_path
):
    writer.kill()
    with open_here() as db:
        with session_of(db).storage.writing():
            session_of(db).experiments.enrol(heat())
        assert names(db) == ["first", "heat"]
    assert os.listdir(tmp_path) == ["heat.db"]
    plain = sqlite3.connect(tmp_path / "heat.db")
    assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert plain.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
    plain.close()


@pytest.mark.parametrize("content", [b"", bytes(512), bytes(512) + b"a page"])
@pytest.mark.parametrize("is_local", [True, False])
def test_a_journal_that_was_never_synced_is_put_away_by_who_writes_nothing(
    open_here, tmp_path, monkeypatch, is_local, content
):
    """Killed before its first byte: SQLite takes no notice of it, nor deletes it."""
    monkeypatch.setattr(filesystem, "is_local", lambda _: is_local)
    with open_here() as db:
        session_of(db).experiments.enrol(heat())
    (tmp_path / "heat.db-journal").write_bytes(content)
    with open_here() as db, session_of(db).storage.writing():
        session_of(db).sweep_leftovers()

    assert os.listdir(tmp_path) == ["heat.db"]
    with open_here(read_only=True) as db:
        assert names(db) == ["heat"]


def test_a_journal_that_cannot_be_put_away_stays(open_here, stored, tmp_path):
    (tmp_path / "heat.db-journal").touch()
    browser = sqlite3.connect(tmp_path / "heat.db", timeout=0, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    connection = engine.connect(str(tmp_path / "heat.db"), engine.WRITE)
    engine.raw(connection).execute("PRAGMA busy_timeout = 0")
    engine.put_cold_journal_away(connection)

    assert header.has_cold_journal(str(tmp_path / "heat.db"))
    assert not engine.raw(connection).in_transaction
    engine.disconnect(connection)
    browser.close()


def test_no_reader_rolls_back_a_writer_that_lives(child, open_here, tmp_path):
    """Where file locks do nothing, a living writer looks like a dead one."""
    writer = child(WRITER, str(tmp_path / "heat.db"), "shared")
    assert writer.line() == "in the middle"
    shutil.copytree(tmp_path, tmp_path / "copy")  # the same, without SQLite's locks
    before = (tmp_path / "copy" / "heat.db").read_bytes()
    with pytest.raises(DatabaseError):
        open_here("copy/heat.db", read_only=True)

    assert (tmp_path / "copy" / "heat.db").read_bytes() == before
    writer.kill()
    with open_here("copy/heat.db", read_only=True) as reader:
        assert names(reader) == ["first"]


def test_a_wal_file_moved_to_a_shared_file_system_is_turned_back(
    open_here, tmp_path, monkeypatch
):
    with open_here() as db:
        session_of(db).experiments.enrol(heat())
    plain = sqlite3.connect(tmp_path / "heat.db")
    plain.execute("PRAGMA journal_mode = WAL")
    plain.close()
    monkeypatch.setattr(filesystem, "is_local", lambda _: False)
    with open_here() as db:
        session_of(db).experiments.enrol(heat("other"))
        assert not header.is_wal(str(tmp_path / "heat.db"))
        assert names(db) == ["heat", "other"]


def test_a_run_uses_a_wal_on_a_local_disk_only(open_here, tmp_path, monkeypatch):
    path = str(tmp_path / "heat.db")
    for local in (True, False):
        monkeypatch.setattr(filesystem, "is_local", lambda _, local=local: local)
        with open_here() as db, session_of(db).storage.writing():
            assert header.is_wal(path) is local
        assert not header.is_wal(path)


def test_a_run_ends_well_although_a_reader_is_there(open_here, tmp_path):
    db, reader = open_here(), open_here(read_only=True)
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())
        connection = session_of(reader).storage.reading()
        connection.__enter__()
    connection.__exit__(None, None, None)
    reader.close()
    session_of(db).experiments.enrol(heat("other"))

    assert names(db) == ["heat", "other"]
    db.close()
    assert os.listdir(tmp_path) == ["heat.db"]


# --- what the disk refuses ----------------------------------------------------------

# Stores until the file may not grow any more, says the error, then tries a query.
FULL = """
import resource, sys
from experimenter_mpi import Experiment, ExperimenterError, IntegerVariable, open_db
from experimenter_mpi.database.handle import session_of
db = open_db(sys.argv[1], "")
def heat(name, n):
    values = IntegerVariable(1, n)
    return Experiment(name, configuration={"N": values}, function_name="f")
session_of(db).experiments.enrol(heat("first", 100))
limit = 400_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    large = Experiment("second", configuration={"N": "x" * 900_000}, function_name="f")
    session_of(db).experiments.enrol(large)
except ExperimenterError as error:
    print(type(error).__name__, error, flush=True)
print([each.name for each in db.get_experiments()], flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""


def test_a_full_disk_is_one_line_and_what_was_there_stays(child, tmp_path, open_here):
    process = child(FULL, str(tmp_path / "heat.db"))
    error, listed = process.line(), process.line()
    assert process.end() == 0

    assert error.startswith(f"DatabaseWriteError {tmp_path}/heat.db cannot be written:")
    assert listed == "['first']"
    with open_here() as db:
        assert names(db) == ["first"]


def test_a_full_disk_in_the_ledger_is_a_write_error(db, stored, monkeypatch):
    with session_of(db).storage.writing():
        driver = engine.raw(session_of(db).storage._connection)
        (pages,) = driver.execute("PRAGMA page_count").fetchone()
        driver.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DatabaseWriteError, match="full: free some|full; the disk"):
            session_of(db).ledger(stored.id).record(
                [finished(0, {"text": "x" * 100_000})], ()
            )

        driver.execute("PRAGMA max_page_count = 100000")
        session_of(db).ledger(stored.id).record([finished(1)], ())
    assert session_of(db).trials.counts(stored.id)["finished"] == 1


def test_another_program_that_keeps_the_file_locked_is_named(
    db, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.0)
    browser = sqlite3.connect(tmp_path / "heat.db", isolation_level=None)
    browser.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseWriteError, match="another program keeps it locked"):
        db.complete_trial(stored.trial_ids[0], {})
    db.close()
    browser.execute("ROLLBACK")
    browser.close()


def test_a_reader_that_meets_a_locked_file_says_so(
    open_here, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.0)
    browser = sqlite3.connect(tmp_path / "heat.db", isolation_level=None)
    browser.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseLockedError, match="cannot be read"):
        open_here(read_only=True)
    browser.execute("ROLLBACK")
    browser.close()


def test_a_database_whose_file_was_deleted_fails_and_is_not_made_anew(
    db, stored, tmp_path
):
    (tmp_path / "heat.db").unlink()
    with pytest.raises(DatabaseWriteError):
        db.complete_trial(stored.trial_ids[0], {})

    assert os.listdir(tmp_path) == []


def test_a_damaged_file_is_said_to_be_damaged(open_here, tmp_path):
    with open_here() as db:
        session_of(db).experiments.enrol(heat(N=IntegerVariable(1, 2000)))
    path = tmp_path / "heat.db"
    data = bytearray(path.read_bytes())
    for page in range(8192, len(data), 4096):
        data[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with (
        pytest.raises(CorruptDocumentError, match=r"is damaged .*\.recover"),
        open_here(read_only=True) as reader,
    ):
        reader.get_trials_by_name("heat")


def test_no_error_of_sqlalchemy_comes_through(db, stored, tmp_path):
    plain = sqlite3.connect(tmp_path / "heat.db")
    plain.execute("DROP TABLE snapshots")
    plain.commit()
    plain.close()
    for request in (
        lambda: db.latest_snapshot(stored.trial_ids[0]),
        lambda: db.save_snapshot(stored.trial_ids[0], {}),
    ):
        with pytest.raises(ExperimenterError, match="no such table"):
            request()


# --- readers and the writer ---------------------------------------------------------


@pytest.fixture
def reading(tmp_path):
    """Somebody who has begun to read; ``ROLLBACK`` ends it."""
    connections = []

    def begin():
        connection = sqlite3.connect(
            tmp_path / "heat.db", isolation_level=None, check_same_thread=False
        )
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM trials").fetchone()
        connections.append(connection)
        return connection

    yield begin
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("local", [True, False])
def test_a_commit_waits_for_a_reader_however_long(
    db, stored, reading, monkeypatch, local
):
    monkeypatch.setattr(filesystem, "is_local", lambda _: local)
    monkeypatch.setattr(storage, "BLOCKED_SECONDS", 0.01)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.01)
    reader, said = reading(), []

    def listener(text):
        said.append(text)
        if len(said) == 1:
            threading.Timer(0.1, reader.execute, ["ROLLBACK"]).start()

    session_of(db).storage.listen(listener)
    with session_of(db).storage.writing():
        session_of(db).ledger(stored.id).record([finished(0)], ())

    kept, unlocked = said
    assert "a reader keeps" in kept and "heat.db was unlocked" in unlocked
    assert session_of(db).trials.counts(stored.id)["finished"] == 1


def test_many_rows_are_stored_while_a_reader_is_there(db, stored, reading, monkeypatch):
    """More than fits into SQLite's cache, which cannot go to the file meanwhile."""
    monkeypatch.setattr(filesystem, "is_local", lambda _: False)
    monkeypatch.setattr(storage, "BLOCKED_SECONDS", 0.01)
    reader = reading()
    session_of(db).storage.listen(
        lambda _: reader.in_transaction and reader.execute("ROLLBACK")
    )
    session_of(db).experiments.enrol(
        heat("large", N=IntegerVariable(1, 20_000), text="x" * 300)
    )

    assert (
        20_000
        == session_of(db).trials.counts(db.get_experiment_by_name("large").id)[
            "pending"
        ]
    )


def test_a_reader_that_goes_lets_the_run_have_its_wal(
    db, stored, reading, tmp_path, monkeypatch
):
    monkeypatch.setattr(storage, "BLOCKED_SECONDS", 0.01)
    reader = reading()
    with session_of(db).storage.writing():
        assert not header.is_wal(str(tmp_path / "heat.db"))
        reader.execute("ROLLBACK")
        session_of(db).ledger(stored.id).record([finished(0)], ())
        assert header.is_wal(str(tmp_path / "heat.db"))
