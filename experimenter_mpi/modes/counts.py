"""How many threads or workers a mode uses."""

from __future__ import annotations

import os
from math import inf

from ..errors import ConfigurationError


def available_cores() -> int:
    """Return the number of cores that this process may use, which a job may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked_count(what: str, value: object, largest: float = inf) -> int:
    """Return a number of threads or workers.

    Raises:
        ConfigurationError: it is not a whole number from 1 to ``largest``.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{what} must be a whole number of 1 or more, not {value!r}"
        raise ConfigurationError(msg)
    if value > largest:
        msg = f"{what} must be at most {largest}, not {value}"
        raise ConfigurationError(msg)
    return value
