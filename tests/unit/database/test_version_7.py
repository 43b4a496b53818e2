"""Databases in which every trial had a row: what matters of them is kept."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine

from experimenter_mpi import DatabaseError, open_db
from experimenter_mpi.database.file import migrations
from experimenter_mpi.database.handle import session_of

FILES = Path(__file__).parent / "files"
HEAT = "5b7c5e60-4a5e-4c3e-9d61-0a3d4f1f8a11"
# Without ``hostname`` and so on, which older versions have as well.
ALL = (
    "id, experiment_id, trial_index, configuration, status, results, attempts, "
    "error_type, error_message, error, started_at, finished_at, duration, rank, "
    "hostname"
)
MATTERS = (
    f"SELECT {ALL} FROM trials WHERE status <> 'pending' OR attempts > 0 "
    "OR id IN (SELECT trial_id FROM snapshots) ORDER BY id"
)


def written_by(version, path):
    """Write a database as it was when the schema had this version."""
    found = FILES / f"version_{version}.db.gz"
    if found.exists():
        path.write_bytes(gzip.decompress(found.read_bytes()))
        return
    source = path.with_name("source.db")
    written_by(5, source)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for step in migrations.STEPS[:version]:
            step(connection)
    engine.dispose()
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("ATTACH ? AS source", (str(source),))
        for (table,) in plain.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table'"
        ).fetchall():
            found = plain.execute(f"PRAGMA main.table_info('{table}')").fetchall()
            columns = ", ".join(f'"{column[1]}"' for column in found)
            plain.execute(
                f"INSERT OR REPLACE INTO main.{table} ({columns}) "
                f"SELECT {columns} FROM source.{table}"
            )
        plain.execute("CREATE VIEW done AS SELECT id FROM trials")
        plain.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        plain.execute(f"PRAGMA user_version = {version}")
        plain.commit()
    source.unlink()


@pytest.fixture(params=[1, 2, 4, 5, 6])
def old(request, tmp_path):
    path = tmp_path / "old.db"
    written_by(request.param, path)
    return path


def rows(path, query):
    with closing(sqlite3.connect(path)) as plain:
        return plain.execute(query).fetchall()


def test_what_mattered_is_the_same_to_the_byte(old):
    queries = [MATTERS, "SELECT sequence, id, trial_id, label, state FROM snapshots"]
    before = [rows(old, query) for query in queries]
    open_db(old).close()

    assert 7 == len(before[0])
    assert before == [rows(old, query) for query in queries]
    assert [(7,)] == rows(old, "SELECT count(*) FROM trial_records")
    assert [("ok",)] == rows(old, "PRAGMA integrity_check")
    assert 0 < len(rows(old, "SELECT * FROM done"))


def test_the_others_are_pending_as_before(old):
    with open_db(old) as db:
        trials = db.get_trials_by_name("heat")
        assert ["finished", "finished", "failed", "running", "pending", "pending"] == [
            trial.status for trial in trials
        ]
        assert [1, 1, 2, 2, 3, 3] == [trial.configuration["N"] for trial in trials]
        assert "é" == trials[5].configuration["deep"]["$y"]
        assert np.isnan(trials[5].configuration["seed"])
        assert 500 == len(db.get_progress("many"))
        assert [{"by": "hand"}] == [
            trial.results for trial in db.get_trials_by_name("many") if trial.results
        ]
        assert {"step": 2} == db.latest_snapshot(trials[4].id).state
        field, other = (
            trial.configuration["field"] for trial in db.get_trials_by_name("fields")
        )
        assert [0, 1, 2, 3] == list(field) and [1, 1, 1] == list(other)


def test_counts_and_what_is_left_are_right(old):
    with open_db(old) as db:
        session = session_of(db)
        counts = {each["name"]: each["counts"] for each in session.reports.overview()}
        assert {"finished": 2, "failed": 1, "running": 1, "pending": 2} == counts[
            "heat"
        ]
        assert 499 == counts["many"]["pending"] and 1 == counts["fields"]["finished"]
        assert [range(2, 6)] == list(session.trials.unfinished(HEAT))


def test_a_snapshots_number_is_never_used_again(old):
    with closing(sqlite3.connect(old)) as plain:
        plain.execute("DELETE FROM snapshots WHERE sequence = 2")
        plain.commit()
    with open_db(old) as db:
        trial_id = db.get_trials_ids_by_name("heat")[4]
        db.save_snapshot(trial_id, {"step": 3})

    assert [(1,), (3,)] == rows(old, "SELECT sequence FROM snapshots ORDER BY 1")


def test_a_file_of_pending_rows_shrinks(old):
    with closing(sqlite3.connect(old)) as plain:
        plain.execute(
            "UPDATE trials SET configuration = printf('%.2000c', 'x') "
            "WHERE status = 'pending' AND trial_index > 5"
        )
        plain.commit()
    before = old.stat().st_size
    assert before > 1_000_000
    open_db(old).close()

    assert old.stat().st_size < 200_000


def test_columns_that_people_added_are_kept(old):
    with closing(sqlite3.connect(old)) as plain:
        plain.execute('ALTER TABLE trials ADD COLUMN "my ""note" TEXT')
        plain.execute('UPDATE trials SET "my ""note" = \'see \' || trial_index')
        plain.commit()
    open_db(old).close()

    query = "SELECT a.* FROM trial_additions AS a JOIN trials USING (id) LIMIT 2"
    assert ["see 0", "see 1"] == [note for _, note in rows(old, query)]


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(old):
    with closing(sqlite3.connect(old)) as plain:
        plain.execute("CREATE TABLE trial_records (mine TEXT)")
        plain.commit()
    everything = "SELECT * FROM trials UNION ALL SELECT * FROM trials ORDER BY id"
    before = rows(old, everything), rows(old, "PRAGMA user_version")
    with pytest.raises(DatabaseError, match=r"trial_records"):
        open_db(old)

    assert before == (rows(old, everything), rows(old, "PRAGMA user_version"))
