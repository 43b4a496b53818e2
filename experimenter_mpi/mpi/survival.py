"""Starting and leaving where the MPI library outlives its ranks: Open MPI with ULFM.

Imported only there: under ``mpirun --with-ft ulfm``.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import LaunchError
from .dead_ranks import is_death

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
# Longer than the start of any job that starts.
START_SECONDS = 300.0


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
