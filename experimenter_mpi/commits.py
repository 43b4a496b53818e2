"""Group what is recorded into few transactions, without holding anything back long."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

from .errors import PickledValueWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .codec import Encoded
    from .ledger import Entry, Ledger, RunningTrial

# A commit waits for the disk; a thousand rows or a tenth of a second share one.
MAX_ENTRIES = 1000
MAX_SECONDS = 0.1


class GroupedCommits:
    """Outcomes on their way to a ledger.

    ``on_recorded`` is called with the entries of each transaction after it.
    """

    def __init__(
        self, ledger: Ledger, on_recorded: Callable[[Sequence[Entry]], None]
    ) -> None:
        self._ledger = ledger
        self._on_recorded = on_recorded
        self._waiting: list[Entry] = []
        self._last = float("-inf")
        self._warned: set[tuple[str, str]] = set()

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._waiting.append(entry)
            results = entry.outcome.results
            if results is not None and results.pickled:
                self.warn_of_pickles(results)

    def due(self) -> bool:
        """Whether a commit should not wait any longer."""
        if len(self._waiting) >= MAX_ENTRIES:
            return True
        return time.monotonic() - self._last >= MAX_SECONDS

    def flush(self, running: Sequence[RunningTrial] = ()) -> None:
        """Commit what waits, and mark ``running`` trials, in one transaction."""
        entries = self._waiting
        if entries or running:
            self._ledger.record(entries, running)
            self._waiting = []
        self._last = time.monotonic()
        if entries:
            self._on_recorded(entries)

    def warn_of_pickles(self, encoded: Encoded) -> None:
        """Warn once per key and type: the run may return it a million times."""
        for path, kind in encoded.pickled:
            if (path, kind) not in self._warned:
                self._warned.add((path, kind))
                msg = (
                    f"'{path}' is a {kind}, which no rule stores readably: it was "
                    "pickled, and reading it back needs allow_pickle=True "
                    "(--allow-pickle)"
                )
                warnings.warn(msg, PickledValueWarning, stacklevel=2)
