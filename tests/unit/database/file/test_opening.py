"""Opening: what is there is never overwritten, what is not ours never touched."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine, inspect

import experimenter_mpi as em
from experimenter_mpi import (
    DatabaseError,
    DatabaseWriteError,
    ForeignDatabaseError,
    NotFoundError,
    SchemaVersionError,
    open_db,
)
from experimenter_mpi.database.file import migrations, version_1
from experimenter_mpi.database.file.tables import metadata
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.experiment.experiment import TrialIds
from unit.database.making import heat


def contents(folder):
    """Every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def a_database(path, *statements):
    plain = sqlite3.connect(path)
    for statement in statements:
        plain.execute(statement)
    plain.commit()
    plain.close()


def test_opening_again_finds_what_was_stored(open_here, tmp_path):
    with open_here() as first:
        session_of(first).experiments.enrol(heat())
    before = contents(tmp_path)
    with open_here() as second:
        assert len(second.get_trials_by_name("heat")) == 6

    assert contents(tmp_path) == before


def test_the_default_folder_is_made_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_db("heat.db") as db:
        assert db.path == str(tmp_path / "experiments" / "heat.db")

    assert os.listdir(tmp_path / "experiments") == ["heat.db"]


def test_a_database_stays_where_it_is_when_the_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_db("heat.db") as db:
        os.chdir("/")
        session_of(db).experiments.enrol(heat())

        assert len(db.get_experiments()) == 1


def test_a_missing_folder_is_an_error_if_it_is_not_to_be_made(tmp_path):
    with pytest.raises(DatabaseError, match="there is no folder .*new: create it"):
        open_db("heat.db", tmp_path / "new", create_folder=False)

    assert os.listdir(tmp_path) == []


def test_in_memory_ignores_the_folder_and_leaves_nothing(tmp_path):
    with open_db(
        "heat.db", tmp_path / "new", create_folder=False, in_memory=True
    ) as db:
        session_of(db).experiments.enrol(heat())
        with session_of(db).storage.writing():
            assert (
                db.path,
                session_of(db).storage.arrays_folder,
                session_of(db).storage.lock_token,
            ) == (None, None, None)
        assert repr(db) == "<ExperimentDatabase in memory>"

    assert os.listdir(tmp_path) == []


def test_a_closed_database_says_so(db):
    db.close()
    db.close()

    with pytest.raises(DatabaseError, match=r"heat\.db is closed"):
        db.get_experiments()
    with pytest.raises(DatabaseError, match="is closed"):
        session_of(db).experiments.enrol(heat())


@pytest.mark.parametrize(
    "name",
    [
        *("a?b.db", "a#b.db", "100%.db", "100%41.db", "two words.db", 'it\'s "q".db'),
        *(
            "mémoire-結果.db",
            "a\\b.db",
            "new\nline.db",
            "-rf.db",
            "a&b=c.db",
            "x" * 200,
        ),
    ],
)
def test_any_file_name_works_as_it_stands(open_here, tmp_path, name):
    with open_here(name) as db:
        session_of(db).experiments.enrol(heat())
        with session_of(db).storage.writing():
            assert {name, f"{name}.lock"} <= set(os.listdir(tmp_path))
    assert os.listdir(tmp_path) == [name]

    with open_here(name, read_only=True) as db:
        assert len(db.get_trials_by_name("heat")) == 6
    assert os.listdir(tmp_path) == [name]


def test_a_link_to_a_database_is_the_database(open_here, tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "scratch" / "heat.db")
    with open_here("link.db") as db, session_of(db).storage.writing():
        assert "heat.db.lock" in os.listdir(tmp_path / "scratch")


# --- what is not ours ---------------------------------------------------------------


def not_a_database(path):
    path.write_text("an important letter, of more than a hundred characters " * 5)


def a_short_file(path):
    path.write_text("short")


def torn(path):
    path.write_bytes(b"SQLite format 3\x00")


def of_another_program(path):
    a_database(path, "CREATE TABLE letters (text)", "INSERT INTO letters VALUES ('x')")


def of_a_program_with_an_id(path):
    a_database(path, "PRAGMA application_id = 77")


def of_a_program_that_uses_wal(path):
    a_database(path, "PRAGMA journal_mode = WAL", "CREATE TABLE letters (text)")


def of_a_program_with_versions(path):
    a_database(path, "PRAGMA user_version = 3")


FOREIGN = [
    not_a_database,
    a_short_file,
    torn,
    of_another_program,
    of_a_program_with_an_id,
    of_a_program_that_uses_wal,
    of_a_program_with_versions,
]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("make", FOREIGN)
def test_a_foreign_file_is_refused_and_left_as_it_is(
    open_here, tmp_path, make, read_only
):
    make(tmp_path / "heat.db")
    before = contents(tmp_path)
    with pytest.raises(ForeignDatabaseError, match=r"heat\.db is .*: choose another"):
        open_here(read_only=read_only)

    assert contents(tmp_path) == before


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_schema_is_refused_and_left_as_it_is(open_here, tmp_path, read_only):
    open_here().close()
    a_database(tmp_path / "heat.db", "PRAGMA user_version = 99")
    before = contents(tmp_path)
    with pytest.raises(SchemaVersionError, match="version 99.*pip install -U"):
        open_here(read_only=read_only)

    assert contents(tmp_path) == before


def test_an_older_schema_is_upgraded_by_one_step_after_another(
    open_here, tmp_path, monkeypatch
):
    with open_here() as db:
        session_of(db).experiments.enrol(heat())
    monkeypatch.setattr(migrations, "STEPS", [*migrations.STEPS, add_a_column])
    with pytest.raises(SchemaVersionError, match="upgrade it with '.* compact "):
        open_here(read_only=True)
    open_here().close()

    plain = sqlite3.connect(tmp_path / "heat.db")
    assert plain.execute("PRAGMA user_version").fetchone() == (len(migrations.STEPS),)
    assert plain.execute("SELECT colour FROM experiments").fetchall() == [(None,)]
    plain.close()


def add_a_column(connection):
    connection.exec_driver_sql("ALTER TABLE experiments ADD COLUMN colour TEXT")


def test_a_database_of_version_1_is_upgraded_with_what_it_holds(open_here, tmp_path):
    """One that was written before deaths of ranks were counted."""
    experiment = "5b7c5e60-4a5e-4c3e-9d61-0a3d4f1f8a11"
    trial = (TrialIds(UUID(experiment)).text(0), experiment, 0, "{}", "running")
    plain = sqlite3.connect(tmp_path / "heat.db")
    for statement in version_1.STATEMENTS:
        plain.execute(statement)
    plain.execute(
        "INSERT INTO experiments (id, name, function_name, configuration, trial_count, "
        "created_at) VALUES (?, 'heat', 'f', '{}', 1, '2026')",
        (experiment,),
    )
    plain.execute(
        "INSERT INTO trials (id, experiment_id, trial_index, configuration, status) "
        "VALUES (?, ?, ?, ?, ?)",
        trial,
    )
    plain.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
    plain.execute("PRAGMA user_version = 1")
    plain.commit()
    plain.close()
    with pytest.raises(SchemaVersionError, match="upgrade it with '.* compact "):
        open_here(read_only=True)
    open_here().close()

    plain = sqlite3.connect(tmp_path / "heat.db")
    kept = "id, experiment_id, trial_index, configuration, status, deaths, run_id"
    assert [(*trial, 0, None)] == plain.execute(f"SELECT {kept} FROM trials").fetchall()
    plain.close()


def test_a_new_database_has_the_tables_that_are_described(open_here, tmp_path):
    """The steps lead to what ``tables`` says: columns in order, and indices."""
    open_here().close()
    described = create_engine("sqlite://")
    metadata.create_all(described)
    made = create_engine(f"sqlite:///{tmp_path / 'heat.db'}")

    assert schema(described) == schema(made)
    described.dispose()
    made.dispose()


def schema(engine):
    """Return each table's columns and indices."""
    seen = inspect(engine)
    return {
        table: (
            [
                (c["name"], str(c["type"]), c["nullable"], c["default"])
                for c in seen.get_columns(table)
            ],
            sorted(
                (index["name"], index["column_names"])
                for index in seen.get_indexes(table)
            ),
        )
        for table in seen.get_table_names()
    }


def test_an_upgrade_that_fails_changes_nothing(open_here, tmp_path, monkeypatch):
    open_here().close()
    before = contents(tmp_path)

    def fail(connection):
        add_a_column(connection)
        raise RuntimeError

    monkeypatch.setattr(migrations, "STEPS", [*migrations.STEPS, fail])
    with pytest.raises(RuntimeError):
        open_here()

    assert contents(tmp_path) == before


def test_an_empty_file_becomes_a_database(open_here, tmp_path):
    (tmp_path / "heat.db").touch()
    with pytest.raises(ForeignDatabaseError, match="empty file"):
        open_here(read_only=True)
    with open_here() as db:
        assert db.get_experiments() == []


def test_an_empty_database_becomes_ours(open_here, tmp_path):
    a_database(tmp_path / "heat.db", "CREATE TABLE t (x)", "DROP TABLE t")
    with open_here() as db:
        assert db.get_experiments() == []


# --- what cannot be opened ----------------------------------------------------------


def test_a_folder_is_no_database(open_here, tmp_path):
    (tmp_path / "heat.db").mkdir()
    with pytest.raises(DatabaseError, match=r"heat\.db is a folder"):
        open_here()
    with pytest.raises(DatabaseError, match="is a folder"):
        open_here("")


def test_a_pipe_is_no_database_and_nobody_waits_for_it(open_here, tmp_path):
    os.mkfifo(tmp_path / "heat.db")
    with pytest.raises(DatabaseError, match="not a regular file"):
        open_here(read_only=True)


def test_a_name_with_a_null_is_no_name(open_here):
    with pytest.raises(DatabaseError, match="not a file name"):
        open_here("a\x00b")


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "experiments").write_text("a file")
    with pytest.raises(DatabaseWriteError, match="cannot create the folder"):
        open_db("heat.db", tmp_path / "experiments" / "deep")


def test_reading_what_is_not_there_is_not_found_and_makes_nothing(open_here, tmp_path):
    with pytest.raises(NotFoundError, match=r"no database .*/heat\.db"):
        open_here(read_only=True)
    with pytest.raises(NotFoundError, match="no database"):
        open_db("heat.db", tmp_path / "new", read_only=True)

    assert os.listdir(tmp_path) == []


def test_a_name_too_long_for_the_file_system_is_an_error_of_ours(open_here):
    with pytest.raises(DatabaseError):
        open_here("x" * 300)


def test_reading_only_refuses_to_write(open_here, stored):
    reader = open_here(read_only=True)
    changes = (
        lambda: session_of(reader).experiments.enrol(heat("other")),
        lambda: reader.complete_trial(stored.trial_ids[0], {}),
        lambda: reader.delete_experiment(stored.id),
        lambda: session_of(reader).storage.writing().__enter__(),
    )
    for change in changes:
        with pytest.raises(DatabaseWriteError, match="read_only=True"):
            change()

    assert len(reader.get_trials(stored.id)) == 6


@pytest.fixture
def public_folder():
    """A folder that other users may enter; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def as_nobody(folder, *, read_only):
    """Open as a user without rights, since root may write everywhere.

    In a fork: such a user may not even be able to start this Python.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    open_db("heat.db", in_memory=True).close()  # all that it needs is now imported
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os.write(writable, _attempt(folder, read_only=read_only).encode())
        os._exit(0)
    os.close(writable)
    os.waitpid(child, 0)
    with open(readable, encoding="utf-8") as said:
        return said.read()


def _attempt(folder, *, read_only):
    try:
        with open_db("heat.db", folder, read_only=read_only) as db:
            return f"{len(db.get_experiments())} experiments"
    except BaseException as error:  # noqa: BLE001 - the fork must not return to pytest
        return f"{type(error).__name__} {error}"


def test_a_folder_that_may_not_be_written_is_named(public_folder):
    public_folder.chmod(0o755)

    assert as_nobody(public_folder, read_only=False) == (
        f"DatabaseWriteError {public_folder} cannot be written to: choose another "
        "place, or open the database with read_only=True"
    )


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_database_in_a_folder_that_may_not_be_written_is_readable(
    public_folder, journal
):
    with open_db("heat.db", public_folder) as db:
        session_of(db).experiments.enrol(heat())
    a_database(public_folder / "heat.db", f"PRAGMA journal_mode = {journal}")
    public_folder.chmod(0o755)

    assert sorted(os.listdir(public_folder)) == ["heat.db"]
    assert as_nobody(public_folder, read_only=True) == "1 experiments"


def test_a_file_that_may_not_be_read_is_named(public_folder):
    open_db("heat.db", public_folder).close()
    (public_folder / "heat.db").chmod(0o600)
    public_folder.chmod(0o755)

    assert "heat.db cannot be read: Permission denied" in as_nobody(
        public_folder, read_only=True
    )


def test_every_error_of_opening_is_one_line(open_here, tmp_path):
    for make in FOREIGN:
        for file in tmp_path.iterdir():
            file.unlink()
        make(tmp_path / "heat.db")
        with pytest.raises(em.ExperimenterError) as caught:
            open_here()

        assert "\n" not in str(caught.value)
