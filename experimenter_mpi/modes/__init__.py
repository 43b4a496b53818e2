"""How trials are run: one module per mode, each given a ``Sweep``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .distributed import HeterogeneousMode
    from .mpi import MPIMode
    from .multithreaded import MultithreadedMode
    from .serial import SerialMode

    # DistributedMode is a HeterogeneousMode with one thread per worker.
    Mode: TypeAlias = SerialMode | MultithreadedMode | HeterogeneousMode | MPIMode

# Where each is; nothing is imported until a script names it.
MODES = {
    "SerialMode": "serial",
    "MultithreadedMode": "multithreaded",
    "DistributedMode": "distributed",
    "HeterogeneousMode": "distributed",
    "MPIMode": "mpi",
}
