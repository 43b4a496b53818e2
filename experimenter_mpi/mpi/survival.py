"""Where the MPI library outlives its ranks, as Open MPI with ULFM: who has died.

Imported only there: under ``mpirun --with-ft ulfm``.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import LaunchError
from .mail import Survival

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
# Longer than the start of any job that starts.
START_SECONDS = 300.0


def is_death(mpi: Any, error: Any) -> bool:
    """Whether this error of MPI is news of a death."""
    return error.Get_error_class() in (
        mpi.ERR_PROC_FAILED,
        mpi.ERR_PROC_FAILED_PENDING,
    )


class UlfmSurvival(Survival):
    """The ranks of a communicator that are dead, as far as this rank has noticed."""

    enabled = True

    def __init__(self, mpi: Any, communicator: Any) -> None:
        super().__init__()
        self._mpi = mpi
        self._communicator = communicator

    def notice(self, error: Any) -> None:
        """As ``Survival`` does.

        Acknowledges the deaths, without which no receive from any source goes on.
        """
        if not is_death(self._mpi, error):
            raise error
        self.look()

    def look(self) -> None:
        """As ``Survival`` does."""
        communicator = self._communicator
        failed, everyone = communicator.Get_failed(), communicator.Get_group()
        ranks = failed.Translate_ranks(None, everyone)
        communicator.Ack_failed()
        failed.Free()
        everyone.Free()
        news = [rank for rank in ranks if rank not in self.dead]
        self.dead.update(news)
        self.untold += news

    def is_pending(self, error: Any) -> bool:
        """As ``Survival`` does."""
        pending: int = self._mpi.ERR_PROC_FAILED_PENDING
        return bool(error.Get_error_class() == pending)


@contextmanager
def impatience() -> Iterator[None]:
    """End this process if MPI does not start, showing where it waits.

    Where a job is to outlive its ranks, one that dies before ``MPI_Init`` has come to
    its end leaves the others waiting in there forever.
    """
    import faulthandler  # its watchdog needs no signal, and no turn of the interpreter

    faulthandler.dump_traceback_later(START_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def leave_without_the_dead() -> None:
    """Make ``MPI_Finalize`` return where ranks have died.

    Open MPI's waits there for all ranks of the job, the dead among them, unless this
    variable of its own says otherwise; that a death was noticed makes no difference.
    """
    import ctypes

    with suppress(OSError, ValueError):  # another release, which may know better
        library = ctypes.CDLL("libmpi.so.40")
        ctypes.c_bool.in_dll(library, "ompi_async_mpi_finalize").value = True


def agreed(mpi: Any, world: Any, derive: Callable[[Any], T]) -> tuple[Any, T]:
    """Return the world and what is derived of it, the same on every rank that lives.

    Collective. Where ranks die meanwhile the world is smaller, and the ranks that are
    left are numbered again, in the same order.

    Raises:
        LaunchError: rank 0 is among the dead.
    """
    was = world.rank
    while True:
        derived = _derived(mpi, world, derive)
        # A death may show on some ranks only: all must do the same.
        if _agree(mpi, world, whole=derived is not None) and derived is not None:
            return world, derived
        world = world.Shrink()
        if world.rank == 0 != was:
            msg = "rank 0 died while the job was starting: rerun the same command"
            raise LaunchError(msg)


def _derived(mpi: Any, world: Any, derive: Callable[[Any], T]) -> T | None:
    try:
        return derive(world)
    except mpi.Exception as error:
        if not is_death(mpi, error):
            raise
        return None


def _agree(mpi: Any, world: Any, *, whole: bool) -> bool:
    """Whether what was derived is whole on every rank that lives."""
    try:
        return bool(world.Agree(int(whole)))
    except mpi.Exception as error:  # a death that not everybody has acknowledged
        if not is_death(mpi, error):
            raise
        return False
