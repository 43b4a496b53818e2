"""What a run does, in a log: asked for by options, or by a script that has one."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from support.experiments import PACKAGE
from support.ways import WAYS

LIBRARIES = ["mpich", "openmpi"]
SOURCE = """
import os, sys, time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    time.sleep(0.02)
    if configuration["n"] == 3:
        raise ValueError("three")
    return {"has_logging": "logging" in sys.modules}

experiment = Experiment(
    "logged", function=trial, configuration={"n": IntegerVariable(0, 5)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("library", LIBRARIES)
def test_each_rank_logs_to_a_file_of_its_own(library, launches, folder):
    folder.write(SOURCE)
    running = WAYS["coordinated"].start_run(
        launches, "--log-file", "logs/%r.txt", "--log-level", "debug", library=library
    )

    done = running.wait().expect(1)

    zero, *others = (
        (folder.path / "logs" / f"{rank}.txt").read_text() for rank in range(3)
    )
    assert "INFO begin: logged, 6 trials on 3 ranks" in zero
    assert "INFO rank 1 is ready" in zero
    assert "DEBUG commit: " in zero
    assert "WARNING failed: trial 3: ValueError: three" in zero
    assert "INFO end: logged: 5 finished, 1 failed" in zero
    for rank, log in enumerate(others, 1):
        line = rf"^\S+ \S+ rank {rank} on \S+ DEBUG trial \d: finished after"
        assert re.search(line, log, re.MULTILINE)
    assert "INFO" not in done.stderr


def test_without_a_file_all_ranks_log_to_standard_error(mpirun, folder):
    folder.write(SOURCE)

    done = mpirun(3, *PACKAGE, "run", "exp.py", "--log-level", "debug").expect(1)

    for rank in range(3):
        assert re.search(rf"rank {rank} on \S+ (DEBUG|INFO) ", done.stderr)


def test_a_file_without_a_rank_in_its_name_is_rank_0s(mpirun, folder):
    folder.write(SOURCE)
    run = (*PACKAGE, "run", "exp.py", "--log-file", "run.txt")

    mpirun(3, *run).expect(1)

    log = (folder.path / "run.txt").read_text()
    assert {"0"} == set(re.findall(r" rank (\d) on ", log))
    assert "INFO begin: " in log
    assert "DEBUG" not in log


def test_a_worker_imports_logging_only_when_it_is_to_log(mpirun, folder):
    folder.write(SOURCE)
    query = "SELECT DISTINCT results ->> '$.has_logging' FROM trials"

    mpirun(2, *PACKAGE, "run", "exp.py").expect(1)
    assert {(0,), (None,)} == set(folder.query(query))
    mpirun(2, *PACKAGE, "run", "exp.py", "--overwrite", "--yes", "--log-level", "info")
    assert {(1,), (None,)} == set(folder.query(query))


def test_a_script_that_configures_logging_gets_it_on_every_rank(mpirun, folder):
    folder.write(
        SOURCE
        + """
import logging
from experimenter_mpi import MPIMode, execute, open_db
logging.basicConfig(level=logging.DEBUG, format="seen %(name)s %(message)s")
with open_db("experiments.db", "experiments") as database:
    execute(experiment, database, MPIMode)
"""
    )

    done = mpirun(2, "exp.py").expect(0)

    assert "seen experimenter_mpi begin: logged, 6 trials on 2 ranks" in done.stderr
    assert "seen experimenter_mpi trial 0: finished after" in done.stderr


def test_by_default_nothing_more_is_printed(serial, folder):
    folder.write(SOURCE)

    done = serial(*PACKAGE, "run", "exp.py", "--progress", "none").expect(1)

    assert "" == done.stderr


def test_a_log_that_cannot_be_written_is_said_before_anything_is_run(serial, folder):
    folder.write(SOURCE)
    (folder.path / "there").write_text("a file")

    done = serial(*PACKAGE, "run", "exp.py", "--log-file", "there/log.txt").expect(3)

    [line] = done.stderr.splitlines()
    assert "experimenter_mpi: cannot write the log " in line
    assert not folder.database.exists()


def test_a_full_disk_under_the_log_stops_nothing(serial, folder):
    folder.write(SOURCE)
    disk = folder.path / "small"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk cannot be mounted here")
    try:
        with open(disk / "filler", "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, os.statvfs(disk).f_bavail * 4096)
        run = (*PACKAGE, "run", "exp.py", "--progress", "none")
        done = serial(*run, "--log-file", disk / "log.txt").expect(1)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)

    assert "" == done.stderr
    assert {"finished": 5, "failed": 1} == folder.statuses()
