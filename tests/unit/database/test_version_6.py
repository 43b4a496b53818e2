"""The id of a database, and the columns that came with it."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from pathlib import Path
from uuid import UUID

import pytest

from experimenter_mpi import CorruptDocumentError, open_db
from experimenter_mpi.database.handle import session_of
from unit.database.making import heat

OLD = Path(__file__).parent / "files" / "version_3.db.gz"


def id_of(database):
    return UUID(session_of(database).storage.database_id)


def test_a_new_database_has_an_id_and_keeps_it(open_here):
    with open_here() as database:
        first = id_of(database)

    assert first == id_of(open_here())
    assert first == id_of(open_here(read_only=True))
    assert first != id_of(open_here("other.db"))


def test_an_old_database_gets_an_id_and_the_new_columns(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(OLD.read_bytes()))
    with open_db(path) as database:
        first = id_of(database)
        assert 15 == len(database.get_trials_by_name("old"))
    with open_db(path) as database:
        assert first == id_of(database)

    plain = sqlite3.connect(path)
    assert {(None,)} == set(plain.execute("SELECT seed FROM experiments"))
    assert {(None, None)} == set(plain.execute("SELECT packages, git_diff FROM runs"))
    plain.close()


def test_one_in_memory_has_its_own():
    with open_db("", in_memory=True) as first, open_db("", in_memory=True) as second:
        assert id_of(first) != id_of(second)


def test_an_export_is_a_new_database_and_a_copy_is_not(open_here, stored, tmp_path):
    database = open_here()
    with database.export_db(tmp_path / "export.db") as exported:
        assert id_of(database) != id_of(exported)
    shutil.copy(tmp_path / "heat.db", tmp_path / "copy.db")

    assert id_of(database) == id_of(open_here("copy.db"))


def test_merging_leaves_the_id_as_it_is(open_here, stored):
    primary = open_here("primary.db")
    before = id_of(primary)
    primary.merge_databases(open_here())

    assert before == id_of(open_here("primary.db"))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM database_properties",
        "UPDATE database_properties SET value = x'00'",
        "DROP TABLE database_properties",
    ],
)
def test_a_database_without_its_id_is_damaged(open_here, stored, tmp_path, damage):
    plain = sqlite3.connect(tmp_path / "heat.db")
    plain.execute(damage)
    plain.commit()
    plain.close()
    for read_only in (True, False):
        with pytest.raises(CorruptDocumentError, match="database_properties"):
            open_here(read_only=read_only)


def test_a_table_that_is_missing_before_the_upgrade_is_damage(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(OLD.read_bytes()))
    plain = sqlite3.connect(path)
    plain.execute("DROP TABLE arrays")
    plain.commit()
    plain.close()
    with pytest.raises(CorruptDocumentError, match="no table 'arrays'"):
        open_db(path)


def test_a_seed_of_128_bits_stays_exact_in_an_export(open_here, tmp_path):
    database = open_here()
    session_of(database).experiments.enrol(heat())
    seed = str(2**128 - 1)
    with session_of(database).storage.transaction() as connection:
        connection.exec_driver_sql("UPDATE experiments SET seed = ?", (seed,))
    database.export_db(tmp_path / "export.db").close()

    plain = sqlite3.connect(tmp_path / "export.db")
    assert [(seed,)] == plain.execute("SELECT seed FROM experiments").fetchall()
    plain.close()
