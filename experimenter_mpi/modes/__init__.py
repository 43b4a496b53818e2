"""How trials are run: one module per mode, each given a ``Sweep``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..sweep import Sweep
    from .distributed import HeterogeneousMode
    from .mpi import MPIMode
    from .multithreaded import MultithreadedMode

MODES = (
    "SerialMode",
    "MultithreadedMode",
    "DistributedMode",
    "HeterogeneousMode",
    "MPIMode",
)


class SerialMode:
    """Run trials one by one in this process; pdb works."""

    def __repr__(self) -> str:
        return "SerialMode()"

    def run(self, sweep: Sweep) -> None:
        """Run all trials of the sweep, or until it drains."""
        # Not at the top: this is the default mode, and so loaded by every rank.
        from .serial import run_serially

        run_serially(sweep)


if TYPE_CHECKING:
    # DistributedMode is a HeterogeneousMode with one thread per worker.
    Mode: TypeAlias = SerialMode | MultithreadedMode | HeterogeneousMode | MPIMode
