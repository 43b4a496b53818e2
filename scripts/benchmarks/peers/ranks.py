"""What peers without MPI need to run on the ranks of mpiexec: to wait, and to agree."""

import time

from mpi4py import MPI

WORLD = MPI.COMM_WORLD


def meet() -> None:
    """Wait for all ranks without spinning, which would take a core from the others."""
    request = WORLD.Ibarrier()
    while not request.Test():
        time.sleep(0.001)
