"""MultithreadedMode: several trials at once, on threads of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import counted
from . import in_process
from .counts import available_cores, checked_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..coordination.sweep import Sweep
    from . import LeadingRank, Workforce


class MultithreadedMode:
    """Run trials on ``threads`` threads of this process, one per core by default.

    They share one store. It pays where trials wait, or compute in code that lets other
    threads run meanwhile, as numpy does; pure Python takes turns. The threads are those
    of mpi4py.futures where an MPI library loads, else Python's own.

    Raises:
        ConfigurationError: ``threads`` is not a whole number of 1 or more.
    """

    needs_ranks = False

    def __init__(self, threads: int | None = None) -> None:
        given = available_cores() if threads is None else threads
        self.threads = checked_count("threads", given)

    def __repr__(self) -> str:
        return f"MultithreadedMode(threads={self.threads})"

    def workforce(self, lead: LeadingRank) -> Workforce:
        """Choose this process; see ``Mode``."""

        def run(sweep: Sweep) -> None:
            self.run(lead.isolated(sweep), lead.say_busy)

        # One rank, however many mpirun has started: whoever started it sees it die.
        made = in_process(self, lead, counted(self.threads, "thread"), run)
        return made._replace(ranks=1)

    def run(
        self, sweep: Sweep, say_busy: Callable[[bool], object] = lambda _: None
    ) -> None:
        """Run all trials of the sweep, or until it drains.

        ``say_busy`` is told when trials run, and when none does any more: nobody can
        stop a thread, and after an interruption some may run on.

        Raises:
            BaseException: what a trial raised, if the sweep is to raise errors.
        """
        from .threads import run_on_threads

        run_on_threads(sweep, self.threads, say_busy)
