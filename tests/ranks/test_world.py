"""What the protocol takes for granted of the MPI library it is started under."""

from __future__ import annotations

import os
from array import array

import pytest
from mpi4py import MPI

pytestmark = pytest.mark.mpi


def test_the_launcher_made_one_world_of_all_ranks(comm):
    """An mpiexec of another MPI library makes N worlds of one rank each."""
    expected = int(os.environ["EXPERIMENTER_TEST_RANKS"])

    assert expected == comm.size
    assert list(range(expected)) == comm.allgather(comm.rank)


def test_receives_posted_in_advance_meet_each_ranks_messages_in_order(comm):
    """Rank 0 keeps receives of any source waiting, and answers whoever came."""
    count = 20
    if comm.rank > 0:
        for number in range(count):
            comm.Send([array("q", [comm.rank, number]), MPI.INT64_T], dest=0, tag=1)
        return
    frames = [array("q", [0, 0]) for _ in range(8)]
    receives = [comm.Irecv([frame, MPI.INT64_T], tag=1) for frame in frames]
    seen = {rank: [] for rank in range(1, comm.size)}
    turn = 0
    for _ in range(count * (comm.size - 1)):
        # In the order they were posted: only that is the order of a rank's messages.
        receives[turn].Wait()
        rank, number = frames[turn]
        seen[rank].append(number)
        receives[turn] = comm.Irecv([frames[turn], MPI.INT64_T], tag=1)
        turn = (turn + 1) % len(receives)
    for receive in receives:
        receive.Cancel()
        receive.Wait()

    assert {rank: list(range(count)) for rank in range(1, comm.size)} == seen
