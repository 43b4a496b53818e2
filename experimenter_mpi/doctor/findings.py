"""What a check has found: fine, worth knowing, or in the way of a run."""

from __future__ import annotations

from typing import NamedTuple

OK, NOTE, PROBLEM = "ok", "note", "problem"


class Finding(NamedTuple):
    """One line for people; ``remedy`` is what to do about it."""

    check: str
    state: str
    text: str
    remedy: str | None = None
