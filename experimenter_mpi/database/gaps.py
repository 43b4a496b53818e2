"""The trials that are still to be run: the gaps between those that need not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..coordination.pending import Ranges
from ..experiment.ranges import common
from ..trial.outcome import Status
from .file.rows import checked_values, later
from .file.tables import FAILED, FINISHED, trial_records
from .finished import counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..experiment.ranges import Numbers
    from ..experiment.share import Share
    from .file.storage import Storage
    from .records import TrialKeys

# Read in 3 ms or so: the first trials start at once, however many there are.
KEYS_AT_ONCE = 10_000


class Gaps:
    """The unfinished trials of an experiment, without those that are ``spared``.

    They are read while the run goes on: a trial that was completed meanwhile is not
    run again.
    """

    def __init__(
        self, storage: Storage, keys: TrialKeys, *, spared: Sequence[int], failed: bool
    ) -> None:
        self._storage = storage
        self._keys = keys
        self._spared = sorted(spared)
        done = f"{FINISHED}" if failed else f"{FINISHED}, {FAILED}"
        self._failed = failed
        self._page = (
            f"SELECT key FROM trial_records WHERE status IN ({done}) "  # noqa: S608
            f"AND key BETWEEN ? AND ? ORDER BY key LIMIT {KEYS_AT_ONCE}"
        )

    def ranges(self, share: Share | None = None) -> Ranges:
        """Return them, or those of a share."""
        with self._storage.reading() as connection:
            found = counts(connection, self._keys, share)
        size = found[Status.PENDING] + found[Status.RUNNING]
        if self._failed:
            size += found[Status.FAILED] - self._spared_of(share)
        if share is None:
            return Ranges(self._asked, size)
        return Ranges(lambda: share.of(self._asked()), size)

    def _asked(self) -> Iterator[range]:
        return self._read() if self._keys.is_plain else self.among(self._keys.asked)

    def among(self, numbers: Numbers) -> Iterator[range]:
        """Yield those among these numbers."""
        return common(iter(numbers.pieces), self._read())

    def _spared_of(self, share: Share | None) -> int:
        """Count the failed ones that are not run again."""
        if share is None:
            return len(self._spared)
        one_by_one = (range(index, index + 1) for index in self._spared)
        return sum(map(len, share.of(one_by_one)))

    def _read(self) -> Iterator[range]:
        following = 0
        for number in self._done():
            if number > following:
                yield range(following, number)
            following = max(following, number + 1)
        if following < self._keys.size:
            yield range(following, self._keys.size)

    def _done(self) -> Iterator[int]:
        """Yield in order the numbers that are not to be run."""
        spared = iter(self._spared)
        next_spared = next(spared, None)
        for number in self._stored():
            while next_spared is not None and next_spared <= number:
                yield next_spared
                next_spared = next(spared, None)
            yield number
        if next_spared is not None:
            yield next_spared
            yield from spared

    def _stored(self) -> Iterator[int]:
        first, last = self._keys.first, self._keys.last
        base, from_key = first, first
        while True:
            with self._storage.reading() as connection:
                found = connection.exec_driver_sql(self._page, (from_key, last))
                keys = checked_values(trial_records.c.key, list(found.scalars()))
            for key in keys:
                yield key - base
            if len(keys) < KEYS_AT_ONCE:
                return
            from_key = later(from_key - 1, keys[-1]) + 1
