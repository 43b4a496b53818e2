"""Moments at which to kill a run: random ones, and those where most can go wrong.

Each is given the run's folder, a random generator and how many seconds a run takes;
it gives a function that says, asked again and again, whether the moment has come.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    Come = Callable[[], bool]

DATABASE = "sweep.db"
# Three snapshots and the results of each of eight trials are in files.
_ARRAY_FILES = 8 * 4


def anywhere(_: Path, rng: random.Random, seconds: float) -> Come:
    """Come at a time that has nothing to do with what the run does."""
    return _after(rng.uniform(0, 1.2 * seconds))


def beginning(folder: Path, rng: random.Random, _: float) -> Come:
    """Come soon after the lock was taken: tables, enrolment, clearing up."""
    lock = folder / f"{DATABASE}.lock"
    return _soon_after(lock.exists, rng.uniform(0, 0.1))


def array_file(folder: Path, rng: random.Random, _: float) -> Come:
    """Come while an array file is written, or its reference is on its way."""
    arrays = folder / f"{DATABASE}.arrays"
    count = len(list(arrays.rglob("*.h5"))) + rng.randint(0, 12)

    def come() -> bool:
        suffixes = [path.suffix for path in arrays.rglob("*.*")]
        return ".part" in suffixes and len(suffixes) > count

    return _soon_after(come, rng.choice([0, rng.uniform(0, 0.01)]))


def commit(folder: Path, rng: random.Random, _: float) -> Come:
    """Come right after the journal has changed for the n-th time."""
    journals = [folder / f"{DATABASE}-{end}" for end in ("wal", "journal")]
    seen: set[object] = set()
    count = rng.randint(1, 60)

    def come() -> bool:
        seen.add(tuple(_state(path) for path in journals))
        return len(seen) > count

    return _soon_after(come, rng.choice([0, rng.uniform(0, 0.005)]))


def end(folder: Path, rng: random.Random, _: float) -> Come:
    """Come when all is written, or nearly: the journal is put away."""
    arrays = folder / f"{DATABASE}.arrays"

    def come() -> bool:
        return len(list(arrays.rglob("*.h5"))) >= _ARRAY_FILES

    return _soon_after(come, rng.uniform(0, 0.05))


MOMENTS = (anywhere, beginning, array_file, commit, end)


def _after(seconds: float) -> Come:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() >= deadline


def _soon_after(condition: Come, delay: float) -> Come:
    """Come some seconds after a condition was first true."""
    waiting: list[Come] = []

    def come() -> bool:
        if not waiting and condition():
            waiting.append(_after(delay))
        return bool(waiting) and waiting[0]()

    return come


def _state(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
