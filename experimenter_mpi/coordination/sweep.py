"""What a mode is given to do: trials, and where their outcomes go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .commits import MAX_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..experiment.experiment import Experiment
    from ..trial.attempt import Isolation
    from ..trial.context import Arrays
    from ..trial.outcome import Entry
    from ..trial.script import Script
    from .drain import Drain
    from .ledger import Ledger
    from .pending import Ranges


@dataclass(frozen=True, slots=True)
class Sweep:
    """The unfinished trials of one experiment, as rank 0 hands them to a mode.

    ``on_recorded`` is called after each commit with what it held, ``note`` with lines
    for people, and ``on_stopping`` once with the reason when the run is asked to stop;
    see ``Excuse``. ``isolation`` starts processes for trials, where they are to have
    some.
    ``trial_timeout`` is for trials that have none, and that nothing can stop.
    ``deaths`` says how often a rank died of which trial before, and ``after_a_crash``
    that the last run died as a whole: of trials that could do the same now.
    Outcomes wait for ``commit_seconds`` at most before they are committed.
    """

    experiment: Experiment
    pending: Ranges | Sequence[range]
    ledger: Ledger
    arrays: Arrays
    drain: Drain
    on_recorded: Callable[[Sequence[Entry]], None]
    include: Script | None = None
    raise_errors: bool = False
    allow_pickle: bool = False
    note: Callable[[str], object] = lambda _: None
    on_stopping: Callable[[str], object] = lambda _: None
    trial_timeout: float | None = None
    isolation: Isolation | None = None
    deaths: Mapping[int, int] = field(default_factory=dict)
    after_a_crash: bool = False
    commit_seconds: float = MAX_SECONDS
