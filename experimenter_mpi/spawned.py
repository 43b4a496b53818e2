"""What a worker runs that ``MPI_Comm_spawn`` started: whatever its parent begins."""

from __future__ import annotations

from .mpi import spawn
from .service import serve


def main() -> int:
    """Serve the process that spawned this one until it sends this rank home."""
    with spawn.parent() as transport:
        serve(transport)
    return 0
