"""The whole conversation between a rank and the child process that runs its trials.

The child is told to ``Begin``, says ``Ready``, and is given one trial after the other.
While one runs it may ask whether the run is stopping, and what a trial may ask of rank
0 (see ``mpi.messages``). The end of the pipe ends the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..trial.briefing import Job
    from ..trial.outcome import Outcome


class Begin(NamedTuple):
    """Parent to child: this is the experiment, and how this program was called."""

    job: Job
    arguments: tuple[str, ...]


class Ready(NamedTuple):
    """Child to parent: script loaded, store built, give me trials."""


class Unable(NamedTuple):
    """Child to parent: I cannot load the script or build the store; I leave."""

    error: str
    message: str


class Run(NamedTuple):
    """Parent to child: run this trial."""

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses


class Ended(NamedTuple):
    """Child to parent: what became of it; ``interrupted`` by a KeyboardInterrupt."""

    outcome: Outcome
    interrupted: bool


class FetchRunState(NamedTuple):
    """Child to parent: is the run stopping? Answer: RunState."""


class RunState(NamedTuple):
    """Parent to child: whether it is, and the seconds left, None if nobody knows."""

    stopping: bool
    seconds_left: float | None
