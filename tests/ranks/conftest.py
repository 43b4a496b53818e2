"""Keep the ranks of a test together: they end it together, or the whole job dies."""

from __future__ import annotations

import time

import pytest
from mpi4py import MPI


@pytest.fixture
def comm():
    """A communicator of this test's own, so that no test meets another's messages."""
    own = MPI.COMM_WORLD.Dup()
    yield own
    own.Free()


@pytest.fixture(autouse=True)
def together():
    """Leave the test only with all other ranks, so that a hang names its test."""
    yield
    MPI.COMM_WORLD.Barrier()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """Show a rank's failure and end the job: the other ranks would wait for it."""
    if report.failed and MPI.COMM_WORLD.size > 1:
        where = f"rank {MPI.COMM_WORLD.rank} of {MPI.COMM_WORLD.size}"
        print(f"\n### {where}: {report.nodeid}\n{report.longreprtext}", flush=True)
        # An aborting MPICH drops what it has not yet passed on of the ranks' output.
        time.sleep(1)
        MPI.COMM_WORLD.Abort(1)
