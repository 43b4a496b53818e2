"""The door to mpi4py.futures, whose executors run the trials of the pool modes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor


def thread_pool(threads: int) -> Executor:
    """Return a pool of threads: mpi4py's where an MPI library loads, else Python's."""
    try:
        from mpi4py.futures import ThreadPoolExecutor
    except (ImportError, RuntimeError):  # a laptop without MPI
        from concurrent import futures

        return futures.ThreadPoolExecutor(threads)
    return ThreadPoolExecutor(threads)


@contextmanager
def lanes(world: Any, ranks: Sequence[int], count: int) -> Iterator[list[Any]]:
    """Return communicators of rank 0 and these ``ranks``, all of which come here."""
    everyone = world.Get_group()
    chosen = everyone.Incl([0, *ranks])
    made = [world.Create_group(chosen)]
    made += [made[0].Dup() for _ in range(count - 1)]
    everyone.Free()
    chosen.Free()
    yield made
    for communicator in made:
        communicator.Free()


def lead_pool(communicator: Any, on_each_rank: Callable[[], object]) -> Executor:
    """Return an executor on rank 0 over the other ranks, which are in ``serve_pool``.

    Each of them calls ``on_each_rank`` once, before its first task. Returns when all
    are there.
    """
    from mpi4py.futures import MPICommExecutor

    # Not as a context: after an interruption its end would wait for running trials.
    entry = MPICommExecutor(communicator, root=0, initializer=on_each_rank)
    executor: Any = entry.__enter__()  # mpi4py's annotation names another type
    executor.bootup(wait=True)
    return cast("Executor", executor)


def serve_pool(communicator: Any) -> None:
    """Run what rank 0 submits, in this thread, until it shuts the executor down."""
    from mpi4py.futures import MPICommExecutor

    with MPICommExecutor(communicator, root=0):
        pass
