"""Times as they are stored: ISO 8601 text in UTC, which SQLite's functions read."""

from __future__ import annotations

import time
from functools import lru_cache


def now() -> str:
    """Give the present time."""
    return iso(time.time())


def iso(seconds: float) -> str:
    """Give seconds since the epoch as ``2026-01-31T12:00:00.123456+00:00``."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micros:06d}+00:00"


@lru_cache(maxsize=1024)
def _second(whole: int) -> str:
    # Fast trials share their second, and this is asked twice for each of them.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
