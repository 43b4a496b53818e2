"""MPIMode: rank 0 coordinates, every other rank works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError, counted
from . import SerialMode, on_ranks

if TYPE_CHECKING:
    from ..coordination.sweep import Sweep
    from ..mpi.transport import Transport
    from . import LeadingRank, Workforce


class MPIMode:
    """Run trials on the ranks that ``mpirun`` started.

    ``batch_size`` is how many trials one message carries; ``"auto"`` sizes batches
    from measured durations: long trials go one by one, short ones by the hundred.
    With one rank only, trials run serially.

    Raises:
        ConfigurationError: ``batch_size`` is neither "auto" nor a whole number >= 1.
    """

    needs_ranks = True

    def __init__(self, batch_size: int | str = "auto") -> None:
        size = batch_size
        whole = isinstance(size, int) and not isinstance(size, bool) and size >= 1
        if size != "auto" and not whole:
            msg = (
                'batch_size must be "auto" or a whole number of 1 or more, not '
                f"{size!r}"
            )
            raise ConfigurationError(msg)
        self.batch_size = batch_size

    def __repr__(self) -> str:
        return f"MPIMode(batch_size={self.batch_size!r})"

    def workforce(self, lead: LeadingRank) -> Workforce:
        """Choose all ranks, or this one where there are no others; see ``Mode``."""
        transport = lead.transport
        if transport is None:
            lead.note("there is only one rank: running serially")
            return SerialMode().workforce(lead)

        def run(sweep: Sweep) -> None:
            with lead.working(sweep, transport, transport.workers):
                error = self.lead(transport, sweep)
            if error is not None:
                raise error

        return on_ranks(self, lead, counted(transport.size, "rank"), run)

    def lead(self, transport: Transport, sweep: Sweep) -> BaseException | None:
        """Rank 0's part: hand the sweep's trials to the workers; see ``coordinate``."""
        from ..coordination.coordinator import coordinate

        size = self.batch_size if isinstance(self.batch_size, int) else None
        return coordinate(transport, sweep, size)
