"""The whole conversation between a rank and the child process that runs its trials.

The child is told to ``BeginChild``, says ``ChildReady``, and is given one trial after
the other. While one runs it may ask whether the run is stopping, and what a trial may
ask of rank 0 (see ``coordination.messages``). The end of the pipe ends the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..trial.briefing import Briefing
    from ..trial.outcome import Outcome


class BeginChild(NamedTuple):
    """Parent to child: this is the experiment, and how this program was called."""

    job: Briefing
    arguments: tuple[str, ...]


class ChildReady(NamedTuple):
    """Child to parent: script loaded, store built, give me trials."""


class ChildUnable(NamedTuple):
    """Child to parent: I cannot load the script or build the store; I leave."""

    error: str
    message: str


class RunTrial(NamedTuple):
    """Parent to child: run this trial."""

    index: int  # type: ignore[assignment] # hides tuple.index, which nobody misses


class TrialEnded(NamedTuple):
    """Child to parent: what became of it; ``interrupted`` by a KeyboardInterrupt."""

    outcome: Outcome
    interrupted: bool


class FetchRunState(NamedTuple):
    """Child to parent: is the run stopping? Answer: RunState."""


class RunState(NamedTuple):
    """Parent to child: whether it is, and the seconds left, None if nobody knows."""

    stopping: bool
    seconds_left: float | None
