"""The small file that says what a run does now."""

from __future__ import annotations

import json
import os
import stat
import time
from types import SimpleNamespace

import pytest

from experimenter_mpi.coordination import trail
from experimenter_mpi.database.file.owner import Owner
from experimenter_mpi.run import live
from experimenter_mpi.run.progress import Progress
from experimenter_mpi.trial.outcome import Entry, Failure, Place, Status
from support.fakes import outcome
from support.launch import wait_until


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "heat.db")


@pytest.fixture
def progress():
    made = Progress("none")
    made.start("heat", 100, "4 ranks")
    return made


@pytest.fixture
def running():
    """Let rank 0 say that these run, until the end of the test."""

    def run(count):
        trail.begin(Place(0, "node1"))
        trail.watch(lambda: [(r, f"node{r}", 10 * r, float(r)) for r in range(count)])

    yield run
    trail.begin(Place(0, ""))


def lock(database, token="ab" * 16):
    """Let the run of this token hold the lock, as far as the lock file says."""
    with open(f"{database}.lock", "w", encoding="utf-8") as file:
        file.write(Owner(token).text())


def shown(database, progress):
    storage = SimpleNamespace(path=database, lock_token="ab" * 16)
    if database is not None and os.path.isdir(os.path.dirname(database)):
        lock(database)
    return live.shown(storage, "heat", progress)


def test_what_is_written_is_read_and_gone_at_the_end(database, progress, running):
    running(3)
    trail.decided("drain: %s", "SIGTERM")
    failure = Failure("ValueError", "too\nhot", "")
    failed = outcome(7, Status.FAILED)._replace(failure=failure)
    progress.on_recorded(
        [Entry(failed, Place(1, "node1")), Entry(outcome(8), Place(2, ""))]
    )

    with shown(database, progress):
        said = live.read(database)

    assert ("heat", "ab" * 16, 100, 2, 1, 3) == (
        said.experiment,
        said.token,
        said.total,
        said.done,
        said.failed,
        said.busy,
    )
    assert "trial 7: ValueError: too hot" == said.last_error
    assert (2, "node2", 20, 2.0) == said.running[0]
    assert "decides       drain: SIGTERM" in said.trail[-1]
    assert 60 > said.age
    assert ["heat.db.lock"] == os.listdir(os.path.dirname(database))


def test_it_is_written_again_soon(database, progress, running):
    running(1)
    with shown(database, progress):
        running(2)
        wait_until(lambda: live.read(database).busy == 2)


def test_it_stays_small_however_many_ranks_there_are(database, progress, running):
    running(100_000)
    for number in range(1000):
        trail.decided("%s", "x" * 1000 + str(number))

    with shown(database, progress):
        said, size = live.read(database), os.stat(live.path_of(database)).st_size

    assert live.MOST_BYTES / 4 > size
    assert (100_000, live.MOST_RANKS) == (said.busy, len(said.running))
    assert 99_999 == said.running[0].rank


def test_in_memory_there_is_no_file(progress, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with shown(None, progress):
        assert [] == os.listdir(tmp_path)


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path, progress):
    with shown(str(tmp_path / "gone" / "heat.db"), progress):
        pass


def test_a_write_that_fails_leaves_what_was_there(database, progress, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with shown(database, progress):
        before = live.read(database)
        monkeypatch.setattr(os, "write", full)
        live._replace(live.path_of(database), {"experiment": "other"})
        monkeypatch.undo()
        assert before.written_at == live.read(database).written_at
        files = sorted(os.listdir(os.path.dirname(database)))
        assert ["heat.db.lock", "heat.db.trail"] == files


def test_a_run_whose_lock_was_taken_over_leaves_the_file_to_the_other(
    database, progress
):
    with shown(database, progress):
        lock(database, "cd" * 16)
        with open(live.path_of(database), "w", encoding="utf-8") as file:
            file.write("the other's")

    with open(live.path_of(database), encoding="utf-8") as file:
        assert "the other's" == file.read()


def test_links_are_neither_followed_to_be_written_nor_to_be_read(
    database, progress, tmp_path
):
    other = tmp_path / "precious.txt"
    other.write_text("precious")
    for path in (live.path_of(database), f"{live.path_of(database)}.new"):
        os.symlink(other, path)

    assert live.read(database) is None
    with shown(database, progress):
        assert "heat" == live.read(database).experiment

    assert "precious" == other.read_text()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b"[" * 100_000,
        b'{"experiment": 3}',
        json.dumps({"running": [[1]]}).encode(),
    ],
)
def test_what_others_wrote_there_is_nothing(content, database):
    with open(live.path_of(database), "wb") as file:
        file.write(content)

    assert live.read(database) is None


def test_a_pipe_in_its_place_is_not_waited_for(database):
    os.mkfifo(live.path_of(database))

    assert live.read(database) is None
    assert stat.S_ISFIFO(os.stat(live.path_of(database)).st_mode)


def test_its_age_is_that_of_the_file(database, progress):
    with shown(database, progress):
        past = time.time() - 1000
        os.utime(live.path_of(database), (past, past))
        assert 900 < live.read(database).age < 2000
