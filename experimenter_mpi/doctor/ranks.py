"""What all ranks say of themselves, brought together on rank 0, and what is odd in it.

Checks are pure: they look at a list of ``Rank``.
"""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from .. import __version__, thread_variables
from ..errors import counted
from .findings import NOTE, OK, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SHOWN = 6


class Rank(NamedTuple):
    """One rank: where it is, what it may use, what it has loaded."""

    host: str
    cores: frozenset[int]
    python: str
    package: str
    library: str
    threads: int | None
    sees_folder: bool | None


def describe(library: str, mark: str | None = None) -> Rank:
    """Describe this process; ``mark`` is a file that rank 0 made for all to see."""
    return Rank(
        os.uname().nodename,
        frozenset(_cores()),
        platform.python_version(),
        str(__version__),
        library,
        threads_per_rank(os.environ),
        None if mark is None else os.path.exists(mark),
    )


def _cores() -> set[int]:
    if sys.platform == "linux":
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def threads_per_rank(variables: Mapping[str, str]) -> int | None:
    """Return how many threads linear algebra was told to take, None if nothing was."""
    told = [
        variables.get(name, "").partition(",")[0] for name in thread_variables.VARIABLES
    ]
    return max((int(text) for text in told if text.isdecimal()), default=None)


def seen(ranks: Sequence[Rank], promised: int) -> Finding:
    """Report the number of ranks and their hosts."""
    hosts = Counter(rank.host for rank in ranks)
    shown = ", ".join(f"{host} ({n})" for host, n in list(hosts.items())[:_SHOWN])
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    text = (
        f"{counted(len(ranks), 'rank')} on {counted(len(hosts), 'host')}: {shown}{more}"
    )
    if promised > len(ranks):
        text = f"{text}; the launcher says {promised}"
        remedy = "some were started by another launcher, or with another library"
        return Finding("ranks", PROBLEM, text, remedy)
    if len(ranks) == 1:
        remedy = "ask for two or more: rank 0 coordinates, the others work"
        return Finding("ranks", NOTE, f"{text}; trials run serially", remedy)
    return Finding("ranks", OK, text)


def alike(ranks: Sequence[Rank]) -> Iterator[Finding]:
    """Refuse ranks that run different things: results would depend on the host."""
    for what, name in (
        ("python", "Python"),
        ("package", "experimenter_mpi"),
        ("library", "MPI"),
    ):
        found = Counter(getattr(rank, what) for rank in ranks)
        if len(found) > 1:
            which = ", ".join(f"{each} on {n} ranks" for each, n in found.items())
            remedy = (
                "use one environment on all hosts; look at PATH and LD_LIBRARY_PATH"
            )
            yield Finding(
                "versions", PROBLEM, f"ranks differ in {name}: {which}", remedy
            )


def cores(ranks: Sequence[Rank]) -> Iterator[Finding]:
    """Report hosts with more ranks than cores."""
    for host, of_host in _by_host(ranks):
        there = len(frozenset().union(*(rank.cores for rank in of_host)))
        if len(of_host) > there:
            text = (
                f"{host}: {counted(len(of_host), 'rank')} on {counted(there, 'core')}"
            )
            remedy = (
                "ask for as many cores as ranks, or have the launcher bind less: "
                "--bind-to none (Open MPI), --cpu-bind=none (srun)"
            )
            yield Finding("cores", NOTE, text, remedy)
            return
    yield Finding("cores", OK, "enough for one per rank")


def blas(ranks: Sequence[Rank]) -> Iterator[Finding]:
    """Report where linear algebra starts more threads than there are cores."""
    for host, of_host in _by_host(ranks):
        there = len(frozenset().union(*(rank.cores for rank in of_host)))
        wanted = sum(rank.threads or len(rank.cores) for rank in of_host)
        # One each is the least there is, even where ranks share cores.
        if len(of_host) > 1 and wanted > max(there, len(of_host)):
            told = of_host[0].threads
            how = "is not set" if told is None else f"is {told}"
            text = (
                f"OMP_NUM_THREADS {how}: numpy may start {wanted} threads on the "
                f"{counted(there, 'core')} of {host}, which slows the trials down"
            )
            yield Finding("threads of numpy", NOTE, text, "export OMP_NUM_THREADS=1")
            return


def sight(ranks: Sequence[Rank], folder: str) -> Iterator[Finding]:
    """Report whether all hosts see the database's folder, where arrays are written."""
    blind = {rank.host for rank in ranks if rank.sees_folder is False}
    if blind:
        hosts = ", ".join(sorted(blind)[:_SHOWN])
        text = f"not visible from {hosts}: large arrays go through rank 0"
        remedy = "put the database on a file system that all hosts share, with --db"
        yield Finding("folder", NOTE, f"{folder} is {text}", remedy)


def _by_host(ranks: Sequence[Rank]) -> Iterator[tuple[str, list[Rank]]]:
    for host in dict.fromkeys(rank.host for rank in ranks):
        yield host, [rank for rank in ranks if rank.host == host]
