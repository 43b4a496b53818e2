"""The file between runs and under pressure: sound, alone, and cleaned up safely."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import h5py
import numpy as np
import pytest

from experimenter_mpi import DatabaseLockedError, DatabaseWriteError
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import encode
from unit.database.making import HOLDER, heat

BIG = np.arange(200_000.0)

# Stores results in argv[1] until its files may not grow any more.
FULL = """
import resource, sys
from experimenter_mpi import DatabaseWriteError, open_db
from experimenter_mpi.database.handle import session_of
db = open_db(sys.argv[1], "")
trials = db.get_trials_by_name("heat")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
stored = 0
try:
    with session_of(db).storage.writing():
        for trial in trials:
            db.complete_trial(trial.id, {"text": "x" * 100_000})
            stored += 1
except DatabaseWriteError:
    print(stored, flush=True)
"""


def test_after_a_full_disk_the_file_is_sound_and_can_be_written(
    child, open_here, tmp_path
):
    """What was acknowledged before the disk was full is there, and no more."""
    with open_here() as db:
        session_of(db).experiments.enrol(heat())
    process = child(FULL, str(tmp_path / "heat.db"))
    stored = int(process.line())
    assert process.end() == 0

    assert 0 < stored < 6
    with open_here() as db:
        finished = [trial.has_finished for trial in db.get_trials_by_name("heat")]
        assert finished == [True] * stored + [False] * (6 - stored)
        db.complete_trial(db.get_trials_ids_by_name("heat")[5], {"distance": 1})
    plain = sqlite3.connect(tmp_path / "heat.db")
    assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    plain.close()


def test_leftovers_are_not_swept_while_another_writes(open_here, child, tmp_path):
    """A file whose outcome is still on its way to rank 0 looks like a leftover."""
    db = open_here()
    written = session_of(db).storage.files.write(encode({"field": BIG}))
    path = tmp_path / "heat.db.arrays" / written.arrays[0].file
    holder = child(HOLDER, str(tmp_path / "heat.db"))
    assert holder.line() == "holding"
    with pytest.raises(DatabaseLockedError):
        session_of(db).sweep_leftovers()
    assert path.exists()
    holder.say("go")
    assert holder.end() == 0

    assert session_of(db).sweep_leftovers() == 1
    assert not path.exists()


def test_a_reader_never_sweeps(open_here, db):
    session_of(db).storage.files.write(encode({"field": BIG}))
    with pytest.raises(DatabaseWriteError, match="read_only=True"):
        session_of(open_here(read_only=True)).sweep_leftovers()

    assert len(list(session_of(db).storage.files.names())) == 1


def test_nothing_stands_beside_the_file_once_writing_ends(open_here, tmp_path):
    with open_here() as db:
        with session_of(db).storage.writing():
            session_of(db).experiments.enrol(heat())
            assert {"heat.db-wal", "heat.db.lock"} <= set(os.listdir(tmp_path))
        assert os.listdir(tmp_path) == ["heat.db"]


def test_a_dataset_is_named_after_where_its_array_stood(db):
    files = session_of(db).storage.files
    written = files.write(encode({"end": {"spins": [BIG, BIG + 1]}}))
    with h5py.File(os.path.join(files.folder, written.arrays[0].file)) as file:
        names = sorted(file)

    assert names == ["end.spins.0", "end.spins.1"]


def delete(path):
    path.unlink()


def move(path):
    path.rename(path.with_name("moved.db"))


def replace(path):
    """As rsync does, and whoever brings a copy back."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)


@pytest.mark.parametrize("away", [delete, move, replace])
def test_who_finds_another_file_in_place_of_its_own_says_so(open_here, tmp_path, away):
    """SQLite would go on, to a file that is gone when it is closed."""
    db = open_here()
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())
        away(tmp_path / "heat.db")
        with pytest.raises(
            DatabaseWriteError, match=r"deleted, moved or replaced.*run"
        ):
            session_of(db).experiments.enrol(heat("other"))

    assert not (tmp_path / "heat.db.lock").exists()


def test_what_was_written_before_it_was_moved_is_in_the_moved_file(open_here, tmp_path):
    db = open_here()
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())
        move(tmp_path / "heat.db")

    assert os.listdir(tmp_path) == ["moved.db"]
    assert ["heat"] == [each.name for each in open_here("moved.db").get_experiments()]


# Opens and closes the database as the sqlite3 shell does, and counts what it sees.
OUTSIDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*connection.execute("SELECT count(*) FROM experiments").fetchone())
connection.close()
"""


def test_a_second_handle_lets_go_of_none_of_the_writers_locks(open_here, tmp_path):
    """Whoever closes a WAL as the last one deletes it, with all that is in it."""

    def seen_outside():
        command = [sys.executable, "-c", OUTSIDER, tmp_path / "heat.db"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        return int(done.stdout)

    db = open_here()
    with session_of(db).storage.writing():
        session_of(db).experiments.enrol(heat())
        for _ in range(3):
            open_here(read_only=True).close()
        before = seen_outside()
        session_of(db).experiments.enrol(heat("other"))
        after = seen_outside()

    assert (1, 2) == (before, after)


def test_looking_at_a_file_leaves_no_descriptor_open(open_here):
    before = len(os.listdir("/proc/self/fd"))
    db = open_here()
    with session_of(db).storage.writing():
        for _ in range(3):
            open_here(read_only=True).close()
    db.close()

    assert before == len(os.listdir("/proc/self/fd"))
