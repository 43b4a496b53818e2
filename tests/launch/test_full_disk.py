"""The disk is full for everyone: the run stops with 3, and goes on after room was made.

No trial is blamed for it, and the database stays sound. On a small tmpfs where one may
mount it, and with a limit on the size of files, which everyone may set.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing

import pytest

from experimenter_mpi import open_db
from support.experiments import PACKAGE
from support.swept import ON_SHARED_DISK

FILLING = """
import os, resource, time, numpy
from experimenter_mpi import (
    Experiment, IntegerVariable, save_snapshot_in_global_database,
)

def trial(configuration, trial_id):
    n, what = configuration["n"], os.environ["FILLED_BY"]
    if what == "array files":
        return {"n": n, "array": numpy.full(200_000, float(n))}
    if what == "snapshots":
        for step in range(3):
            keep(trial_id, {"step": step, "text": str(n % 10) * 100_000})
        return {"n": n}
    return {"n": n, "text": str(n % 10) * 300_000}

def keep(trial_id, state):
    try:
        save_snapshot_in_global_database(trial_id, state)
    except Exception as error:  # as those do who wrap whatever they call
        raise RuntimeError("my own words") from error

if "LARGEST_FILE" in os.environ:
    limit = int(os.environ["LARGEST_FILE"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
experiment = Experiment(
    "filling", function=trial, configuration={"n": IntegerVariable(0, 23)}
)
"""
RUN = (*PACKAGE, "run", "exp.py", "--progress", "none")
NO_ROOM = (
    "No space left on device",
    "disk is full",
    "File too large",
    "disk I/O error",
)


class SmallDisk:
    """A file system of four megabytes, until room is made."""

    def __init__(self, path):
        self.path = path
        self.full = {}
        self._mount("size=4m", "tmpfs")

    def make_room(self):
        self._mount("remount,size=64m", "tmpfs")

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.path], check=True)

    def _mount(self, options, kind):
        command = ["mount", "-t", kind, "-o", options, kind, self.path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")


class FileLimit:
    """No file may grow beyond a megabyte, as with a quota; then without."""

    def __init__(self):
        self.full = {"LARGEST_FILE": "1000000"}

    def make_room(self):
        """Let the next run have no limit."""


@pytest.fixture
def small_disk(folder):
    (folder.path / "experiments").mkdir()
    try:
        disk = SmallDisk(folder.path / "experiments")
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    yield disk
    disk.unmount()


@pytest.fixture(params=["small disk", "small disk of ranks", "file limit"])
def disk(request):
    if request.param == "file limit":
        return FileLimit()
    return request.getfixturevalue("small_disk")


@pytest.fixture
def run(request, disk, serial, mpirun):
    """Run with the disk as it is by now; asked in this order so that it outlives it."""
    on_ranks = "ranks" in request.node.callspec.params["disk"]

    def begin(what, **env):
        env = {"FILLED_BY": what, **env}
        return mpirun(3, *RUN, env=env) if on_ranks else serial(*RUN, env=env)

    return begin


def complaints(done):
    """What the package printed to standard error, without MPI's own words."""
    return [line for line in done.stderr.splitlines() if "bort" not in line]


@pytest.mark.parametrize("what", ["array files", "results", "snapshots"])
def test_a_full_disk_stops_the_run_which_goes_on_after_room_was_made(
    what, disk, run, folder
):
    folder.write(FILLING)

    done = run(what, **disk.full).expect(3)

    [line] = complaints(done)
    assert line.startswith("experimenter_mpi: ")
    assert any(words in line for words in NO_ROOM), line
    assert "room" in line or "full" in line
    assert [("ok",)] == folder.query("PRAGMA integrity_check")
    statuses = folder.statuses()
    assert {"finished", "pending"} >= set(statuses) - {"running"}
    before = folder.query(FINISHED)
    assert 24 > len(before)

    disk.make_room()
    run(what).expect(0)

    assert {"finished": 24} == folder.statuses()
    assert set(before) <= set(folder.query(FINISHED))
    with open_db(folder.database, read_only=True) as database:
        trials = database.get_trials_by_name("filling")
        assert list(range(24)) == [trial.results["n"] for trial in trials]
    assert [] == list(folder.path.rglob("*.part"))


FINISHED = "SELECT trial_index, results FROM trials WHERE status = 'finished'"


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        ("multithreaded", "snapshots"),
        ("distributed", "array files"),
        ("heterogeneous", "snapshots"),
    ],
)
def test_in_every_mode_a_full_disk_stops_the_run(
    mode, what, small_disk, serial, mpirun, folder
):
    folder.write(FILLING)
    threads = () if mode == "distributed" else ("--threads", "2")
    command = (*RUN, "--mode", mode, *threads)
    env = {"FILLED_BY": what}

    def run():
        if mode == "multithreaded":
            return serial(*command, env=env)
        return mpirun(3, *command, env=env)

    done = run().expect(3)

    [line] = complaints(done)
    assert any(words in line for words in NO_ROOM), line
    assert [("ok",)] == folder.query("PRAGMA integrity_check")
    assert "failed" not in folder.statuses()
    small_disk.make_room()
    run().expect(0)
    assert {"finished": 24} == folder.statuses()


def test_a_full_disk_stops_a_run_without_a_wal_too(small_disk, run_cli, folder):
    folder.write(FILLING + ON_SHARED_DISK)
    run_cli(*RUN[2:], env={"FILLED_BY": "results"}).expect(3)
    assert [("ok",)] == folder.query("PRAGMA integrity_check")
    before = folder.query(FINISHED)
    assert 24 > len(before)

    small_disk.make_room()
    run_cli(*RUN[2:], env={"FILLED_BY": "results"}).expect(0)

    assert {"finished": 24} == folder.statuses()
    assert set(before) <= set(folder.query(FINISHED))


def test_under_another_mpi_library_a_full_disk_stops_the_run(mpirun, folder):
    folder.write(FILLING)
    env = {"FILLED_BY": "array files", **FileLimit().full}

    done = mpirun(3, *RUN, env=env, library="openmpi").expect(3)

    assert "cannot write an array to" in done.stderr
    assert "Traceback" not in done.stderr
    assert {"pending": 24} == folder.statuses()


def test_a_disk_without_any_room_is_one_line_too(small_disk, run_cli, folder):
    folder.write(FILLING)
    filler = os.open(folder.path / "experiments" / "filler", os.O_CREAT | os.O_WRONLY)
    free = os.statvfs(folder.path / "experiments").f_bavail * 4096
    os.posix_fallocate(filler, 0, free)
    os.close(filler)

    done = run_cli(*RUN[2:], env={"FILLED_BY": "results"}).expect(3)

    [line] = complaints(done)
    assert "room" in line
    assert "Traceback" not in done.stderr
    (folder.path / "experiments" / "filler").unlink()
    small_disk.make_room()
    run_cli(*RUN[2:], env={"FILLED_BY": "results"}).expect(0)
    assert {"finished": 24} == folder.statuses()


def test_what_a_killed_run_left_makes_room_for_the_next(small_disk, serial, folder):
    """Half-written files may be what fills the disk: they go before anything else.

    There is room for the lock and what goes with an empty journal, no more.
    """
    folder.write(FILLING)
    serial(*RUN, env={"FILLED_BY": "array files", **FileLimit().full}).expect(3)
    with closing(sqlite3.connect(folder.database)) as plain:
        plain.execute("UPDATE trial_records SET status = 1")
        plain.commit()
    left = folder.database.with_name("experiments.db.arrays") / "ab"
    left.mkdir(exist_ok=True)
    handle = os.open(left / f"{'ab' * 16}.h5.part", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(handle, 0, (os.statvfs(left).f_bavail - 10) * 4096)
    os.close(handle)

    done = serial(*RUN, env={"FILLED_BY": "array files"}).expect(3)

    assert "cannot write an array" in done.stderr
    assert 0 < folder.statuses()["finished"]
