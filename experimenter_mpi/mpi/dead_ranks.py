"""Which ranks are dead, where the job outlives them: Open MPI with ULFM."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# What `mpirun --with-ft ulfm` sets for every rank.
_SWITCH = "OMPI_MCA_mpi_ft_enable"


def enabled(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this job goes on when one of its ranks dies."""
    return environment.get(_SWITCH, "").lower() in ("1", "true", "yes")


def is_death(mpi: Any, error: Any) -> bool:
    """Whether this error of MPI is news of a death."""
    return error.Get_error_class() in (
        mpi.ERR_PROC_FAILED,
        mpi.ERR_PROC_FAILED_PENDING,
    )


class Survival:
    """The ranks of a communicator that are dead, as far as this rank has noticed."""

    def __init__(self, mpi: Any, communicator: Any) -> None:
        self._mpi = mpi
        self._communicator = communicator
        self.enabled = enabled()
        self.dead: set[int] = set()
        self.untold: list[int] = []

    def notice(self, error: Any) -> None:
        """Take note of the dead ranks in an MPI error; raise it if it is another error.

        Acknowledges the deaths, without which no receive from any source goes on.
        """
        if not (self.enabled and is_death(self._mpi, error)):
            raise error
        self.look()

    def look(self) -> None:
        """Take note of who has died since; asks only this rank's own MPI."""
        if not self.enabled:
            return
        failed, everyone = (
            self._communicator.Get_failed(),
            self._communicator.Get_group(),
        )
        ranks = failed.Translate_ranks(None, everyone)
        self._communicator.Ack_failed()
        failed.Free()
        everyone.Free()
        for rank in ranks:
            if rank not in self.dead:
                self.dead.add(rank)
                self.untold.append(rank)

    def is_pending(self, error: Any) -> bool:
        """Whether the receive that gave this error is still waiting for a message."""
        pending: int = self._mpi.ERR_PROC_FAILED_PENDING
        return bool(error.Get_error_class() == pending)

    def tell(self) -> list[int]:
        """Return the dead ranks that were not given before."""
        news, self.untold = self.untold, []
        return news

    def is_told(self, rank: int) -> bool:
        """Whether a rank was given as dead: nothing that it sent counts any longer."""
        return rank in self.dead and rank not in self.untold
