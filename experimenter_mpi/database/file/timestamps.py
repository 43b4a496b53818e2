"""Times as they are stored: ISO 8601 text in UTC, which SQLite's functions read."""

from __future__ import annotations

import time

from ...trial.outcome import iso


def now() -> str:
    """Return the current time."""
    return iso(time.time())
