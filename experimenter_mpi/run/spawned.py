"""What a worker runs that ``MPI_Comm_spawn`` started: whatever its parent begins."""

from __future__ import annotations

from .. import output
from ..mpi import launch, spawn
from .serve import serve


def main(spawner: int, host: str) -> int:
    """Serve process ``spawner`` on ``host``, which spawned this one, to the end."""
    output.make_safe()
    launch.share_cores()
    with spawn.parent(spawner, host) as transport:
        serve(transport)
    return 0
