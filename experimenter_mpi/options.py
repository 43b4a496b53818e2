"""How ``execute`` was asked to run."""

from __future__ import annotations

from typing import NamedTuple


class Options(NamedTuple):
    """See ``execute``; limits, ``grace`` and ``trial_timeout`` are in seconds.

    ``only`` are the indices of the trials to run, None for all.
    """

    force_overwrite: bool = False
    on_error: str = "record"
    retry_failed: bool = True
    time_limit: float | None = None
    grace: float | None = None
    only: frozenset[int] | None = None
    isolate: bool = False
    trial_timeout: float | None = None
