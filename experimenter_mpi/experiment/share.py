"""The K-th of N disjoint shares of an experiment's trials, for N independent runs.

Trial *i* belongs to share ``i % N + 1``: by its index and N alone, so that a share
stays the same however much of it is finished. Neighbours go to different shares, since
what varies slowest in a configuration is often what makes trials long.
"""

from __future__ import annotations

import operator
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WRITTEN = re.compile(r"(?P<number>auto|[0-9]+)(?:/(?P<total>[0-9]+))?")
# SQLite's integers end there, and no array has as many tasks.
_MOST = 2**31


class Share(NamedTuple):
    """Which share this is, from 1, and of how many."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def size(self, trials: int) -> int:
        """Return how many of so many trials are in the share."""
        return len(range(self.number - 1, trials, self.total))

    def count(self, ranges: Iterable[range]) -> int:
        """Return how many of the trials of ascending ranges are in the share."""
        return sum(
            len(range(self._first_from(piece.start), piece.stop, self.total))
            for piece in ranges
        )

    def of(self, ranges: Iterable[range]) -> Iterator[range]:
        """Yield the trials of ascending ranges that are in the share."""
        if self.total == 1:
            yield from ranges
            return
        for piece in ranges:
            first = self._first_from(piece.start)
            for index in range(first, piece.stop, self.total):
                yield range(index, index + 1)

    def _first_from(self, index: int) -> int:
        return index + (self.number - 1 - index) % self.total


def is_share(text: str) -> bool:
    """Whether this is written as a share: ``2/8``, ``auto`` or ``auto/8``."""
    found = _WRITTEN.fullmatch(text)
    return found is not None and (found["total"] is not None or text == "auto")


def as_share(
    given: tuple[int, int] | str, environment: Mapping[str, str] = os.environ
) -> Share:
    """Return the share that ``(2, 8)``, ``"2/8"``, ``"auto"`` or ``"auto/8"`` means.

    ``auto`` is the place of this task in its scheduler's job array; with ``/8`` the
    array has eight tasks, whatever it says itself: see ``cluster.job_arrays``.

    Raises:
        ConfigurationError: it is none, or this is no task of such an array.
    """
    if isinstance(given, str) and given.startswith("auto") and is_share(given):
        from ..cluster.job_arrays import place

        tasks = given.partition("/")[2]
        number, total = place(environment, int(tasks) if tasks else None)
    else:
        number, total = _pair(given)
    if not 1 <= number <= total < _MOST:
        msg = f"{given!r} is not a share: the shares of N are 1/N to N/N"
        raise ConfigurationError(msg)
    return Share(number, total)


def _pair(given: Any) -> tuple[int, int]:
    try:
        if isinstance(given, str):
            number, total = map(int, given.split("/") if is_share(given) else ())
        else:
            number, total = map(operator.index, given)
    except (TypeError, ValueError):
        msg = (
            "a share must be written as (2, 8), '2/8', 'auto' or 'auto/8', not "
            f"{given!r}"
        )
        raise ConfigurationError(msg) from None
    return number, total
