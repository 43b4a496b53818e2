"""Durations as schedulers read and write them."""

from __future__ import annotations

import time

_UNITS = len(("hours", "minutes", "seconds"))


def seconds(text: str) -> float:
    """Read a duration as schedulers write it: SS, MM:SS, HH:MM:SS or D-HH:MM:SS.

    After days come hours, as Slurm reads it: 1-12 and 1-12:30 are days and hours.

    Raises:
        ValueError: ``text`` is not a duration.
    """
    days, dash, rest = text.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    if len(parts) > _UNITS or min(parts) < 0:
        msg = f"'{text}' is not a duration"
        raise ValueError(msg)
    if dash:
        parts += [0.0] * (_UNITS - len(parts))
    total = 0.0
    for part in parts:
        total = total * 60 + part
    return total + (int(days) * 86400 if dash else 0)


def from_now(duration: str | None) -> float | None:
    """Return when a duration from now ends, None if it is not one."""
    if duration is None or not duration.strip()[:1].isdecimal():
        return None
    return time.time() + seconds(duration.strip())


def hours(seconds: int) -> str:
    """Write a duration as HH:MM:SS, which every scheduler but LSF and Flux reads."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def minutes(seconds: int) -> int:
    """Return whole minutes, rounded up."""
    return -(-seconds // 60)
