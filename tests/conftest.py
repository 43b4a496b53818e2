"""The fixtures that start real processes, and what keeps tests/ranks apart."""

from __future__ import annotations

import resource
import signal
import traceback
from pathlib import Path

import pytest

from support.launch import Launches

HERE = Path(__file__).parent
DEADLINE_SECONDS = 240
# What pytest-mpi adds to a test that is to run inside of mpiexec.
NEEDS_MPI = pytest.mark.skip(reason="need --with-mpi option to run").mark


def pytest_configure():
    # Ranks that are made to print their stacks leave no core files behind.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    # Cancelled by a scheduler or a CI, the fixtures still kill what they started. And
    # what is started heeds SIGINT even when a shell runs pytest in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def pytest_ignore_collect(collection_path, config):
    """Leave tests/ranks to mpiexec: importing them would start MPI in this process."""
    if collection_path == HERE / "ranks" and not config.getoption("--with-mpi"):
        return True
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Mark every test that starts the program, so that none is forgotten.

    And run those of the folder ``mpi``: pytest-mpi takes them for its own by the name.
    """
    for item in items:
        if item.get_closest_marker("mpi") is None:
            item.own_markers = [
                marker for marker in item.own_markers if marker != NEEDS_MPI
            ]
        starts = {"mpirun", "start_mpirun"} & set(item.fixturenames)
        if starts or HERE / "launch" in item.path.parents:
            item.add_marker("launches")


@pytest.fixture
def deadline():
    """Fail a test that waits in this process for one that it started, with stacks."""

    def too_late(_number, frame):
        stack = "".join(traceback.format_stack(frame))
        pytest.fail(f"did not end in {DEADLINE_SECONDS} s:\n{stack}", pytrace=False)

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(DEADLINE_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def launches(tmp_path):
    """Kill whatever the test started, however the test ends."""
    with Launches(cwd=tmp_path) as started:
        yield started


@pytest.fixture
def mpirun(launches):
    """Run `mpiexec -n RANKS python ARGS...` with a deadline: see `Launches.mpirun`."""
    return launches.mpirun


@pytest.fixture
def start_mpirun(launches):
    """Start the same and return it `Running`, to be watched, signalled and killed."""
    return launches.start_mpirun


@pytest.fixture
def serial(launches):
    """Run `python ARGS...` with a deadline: see `Launches.serial`."""
    return launches.serial


@pytest.fixture
def start_serial(launches):
    """Start the same and return it `Running`."""
    return launches.start_serial
