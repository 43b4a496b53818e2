"""Which jobs were submitted for a database: a line of JSON each in a file beside it.

Several submissions may write at once, from several hosts, and a run is no concern of
theirs; so this is no table of the database, which rank 0 of a run alone writes.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class JobRecord(NamedTuple):
    """A job that was submitted.

    Attributes:
        scheduler: slurm, pbs, sge, lsf or flux.
        job: Its number, as the scheduler printed it.
        name: What it is called.
        log: The path of its log; a * where each task of an array has its own.
        after: The job whose successor it is, in a chain of runs; None of the first.
    """

    scheduler: str
    job: str
    name: str
    log: str
    after: str | None = None


def file_of(database: str) -> str:
    """Return the path of the file that names a database's jobs."""
    return f"{os.path.abspath(database)}.jobs"


def read(database: str) -> list[JobRecord]:
    """Return the jobs that were submitted for a database, in that order."""
    try:
        with open(file_of(database), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    return [record for line in lines if (record := _record(line)) is not None]


def _record(line: str) -> JobRecord | None:
    """Read a line; None if it is no whole record, as where a disk was full."""
    with suppress(ValueError, TypeError):
        return JobRecord(**json.loads(line))
    return None


def add(database: str, records: Iterable[JobRecord]) -> None:
    """Append jobs to those of a database.

    Raises:
        OSError: the file cannot be written.
    """
    path = file_of(database)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = "".join(f"{json.dumps(record._asdict())}\n" for record in records)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        _lock(handle)
        size = os.fstat(handle).st_size
        # A line that was cut short must not take the next one with it.
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, f"{chr(10) if torn else ''}{text}".encode())
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Keep other hosts from appending at the same place, where there are locks."""
    import fcntl

    with suppress(OSError):
        fcntl.lockf(handle, fcntl.LOCK_EX)
