"""The least that an MPI program in Python does: start, meet, say when."""

import time

from mpi4py import MPI

MPI.COMM_WORLD.Barrier()
if MPI.COMM_WORLD.rank == 0:
    print(f'{{"at": {time.monotonic()}}}', flush=True)
