"""What a run may ask of the place where results are kept.

The loop knows this protocol alone; the database implements it, and tests keep a list.
What passes through is encoded already: whoever implements it moves text and bytes and
never needs to understand them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..encoding.codec import Encoded
    from ..trial.outcome import Entry, RunningTrial, StoredSnapshot


class Ledger(Protocol):
    """Where one experiment's outcomes and snapshots are kept while it runs.

    Trials of the experiment that runs are named by index, any trial of the database
    by its id. Each method is one transaction, durable when it returns.
    """

    def record(self, entries: Sequence[Entry], running: Iterable[RunningTrial]) -> None:
        """Store outcomes, and which trials run now.

        Safe to repeat: a trial that has finished keeps its first results.
        """

    def count_deaths(self, indices: Sequence[int]) -> None:
        """Count a death of their rank against trials, which are then pending again."""

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        """Add a snapshot. Raises NotFoundError where there is no such trial."""

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        """Return the trial's last snapshot by sequence number."""

    def results_of(self, trial_id: str) -> Encoded | None:
        """Return any trial's results, None while it is unfinished."""

    def complete(self, trial_id: str, results: Encoded) -> None:
        """Store results of any trial, which is then finished."""

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        """Write a piece of an array file; with the last one it is whole and durable."""

    def piece(self, file: str, offset: int, size: int) -> bytes:
        """Return bytes of an array file, none beyond its end."""
