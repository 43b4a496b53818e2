"""How trials are run: one module per mode, all with one interface."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from ..coordination.sweep import Sweep
    from ..mpi.transport import Transport
    from ..trial.script import Script

MODES = (
    "SerialMode",
    "MultithreadedMode",
    "DistributedMode",
    "HeterogeneousMode",
    "MPIMode",
)


class Workforce(NamedTuple):
    """Who runs the trials: what is recorded and said of it, and how to have them run.

    ``where`` says it to people: 4 ranks, 2 workers of 8 threads. ``run`` returns when
    no trial is left, or none is to be run; it raises what ends the run. ``may_be_left``
    says that a run can be stopped at once without ending the process.
    """

    mode: str
    ranks: int
    library: str | None
    where: str
    run: Callable[[Sweep], None]
    may_be_left: bool = False


class Mode(Protocol):
    """A way to run trials."""

    @property
    def needs_ranks(self) -> bool:
        """Whether to start MPI also where nothing shows that there are other ranks."""

    def workforce(self, lead: LeadingRank) -> Workforce:
        """Choose who runs the trials of one call of ``execute``.

        Raises:
            ConfigurationError: what it asks for is not there.
        """


class LeadingRank(Protocol):
    """Rank 0 of one ``execute``, as modes know it."""

    @property
    def transport(self) -> Transport | None:
        """How to reach the other ranks; None where there are none."""

    def note(self, text: str) -> None:
        """Print a line for people."""

    def say_busy(self, busy: bool) -> None:
        """Keep in mind whether trials run on threads, which nobody can stop."""

    def isolated(self, sweep: Sweep) -> Sweep:
        """Run the trials of this process in child processes, if they are isolated."""

    def working(
        self, sweep: Sweep, transport: Transport, ranks: Iterable[int], **facts: Any
    ) -> AbstractContextManager[object]:
        """Make ranks begin, released at the end; ``facts`` are those of ``Job``."""

    def script_of_workers(self) -> Script | None:
        """Return what workers load that were not started with the script.

        Raises:
            ScriptError: there is no such file.
        """

    def spawned(
        self, workers: int, script: Script | None, sweep: Sweep
    ) -> AbstractContextManager[Transport]:
        """Start so many workers, and let them go at the end."""


def on_ranks(
    mode: Mode, lead: LeadingRank, where: str, run: Callable[[Sweep], None]
) -> Workforce:
    """Return a workforce of the ranks that ``mpirun`` started."""
    threads = os.environ.get("OMP_NUM_THREADS")
    # Said since it may have been set by mpi.launch, and explains a slow trial.
    where += "" if threads is None else f" (OMP_NUM_THREADS={threads})"
    return Workforce(type(mode).__name__, *_job_of(lead), where, run)


def in_process(
    mode: Mode, lead: LeadingRank, where: str, run: Callable[[Sweep], None]
) -> Workforce:
    """Return a workforce of this process alone; say so where there are other ranks."""
    name, (size, library) = type(mode).__name__, _job_of(lead)
    if lead.transport is not None:
        from ..mpi import launch

        lead.note(f"{name} uses 1 of {size} ranks; MPIMode() uses them all")
        launch.set_place(0, 1)
    return Workforce(name, size, library, where, run, may_be_left=True)


def _job_of(lead: LeadingRank) -> tuple[int, str | None]:
    transport = lead.transport
    return (1, None) if transport is None else (transport.size, transport.library)


class SerialMode:
    """Run trials one by one in this process; pdb works."""

    needs_ranks = False

    def __repr__(self) -> str:
        return "SerialMode()"

    def workforce(self, lead: LeadingRank) -> Workforce:
        """Choose this process; see ``Mode``."""
        return in_process(
            self, lead, "1 rank", lambda sweep: self.run(lead.isolated(sweep))
        )

    def run(self, sweep: Sweep) -> None:
        """Run all trials of the sweep, or until it drains.

        Raises:
            BaseException: what a trial raised, if the sweep is to raise errors.
        """
        # Not at the top: this is the default mode, and so loaded by every rank.
        from .serial import run_serially

        run_serially(sweep)
