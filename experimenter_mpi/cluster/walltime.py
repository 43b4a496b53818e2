"""When the scheduler ends this job, asked once, by rank 0, before MPI starts.

Asking may need a child process, which MPI forbids once it has started. Slurm's sites
differ in whether they set ``SLURM_JOB_END_TIME``; the other schedulers set nothing.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from . import schedulers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A scheduler that is busy or gone must not keep the run from starting.
ASK_SECONDS = 10.0
# What is said to end later than that, or never, is not waited for.
FAR_SECONDS = 10 * 365 * 86400.0

_known: list[float | None] = []


def left() -> float | None:
    """Return the seconds until the scheduler ends this job, None if it will not say."""
    end = _collected()
    return None if end is None else max(0.0, end - time.time())


def collect() -> None:
    """Ask the scheduler, once per process."""
    _collected()


def _collected() -> float | None:
    if not _known:
        may_ask = "mpi4py.MPI" not in sys.modules
        _known.append(end_time(os.environ, _ask if may_ask else _ask_nobody))
    return _known[0]


def end_time(
    environment: Mapping[str, str], ask: Callable[..., str | None]
) -> float | None:
    """Return when the job ends, in seconds since the epoch.

    ``ask`` runs a scheduler's command and gives what it prints, None if it fails. Of
    jobs inside one another the one counts that ends first.
    """
    ends = []
    for scheduler, job in schedulers.jobs(environment).items():
        try:
            ends_at = schedulers.described(scheduler).variables.ends_at
            ends.append(ends_at(environment, job, ask))
        except (ValueError, OverflowError):  # words of a version unknown to us
            continue
    last = time.time() + FAR_SECONDS
    known = (end for end in ends if end is not None and end < last)  # and no NaN
    return min(known, default=None)


def _ask(*command: str) -> str | None:
    import subprocess

    from .commands import run

    try:
        done = run(command, ASK_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _ask_nobody(*_command: str) -> str | None:
    """MPI has started without us: the environment is all there is."""
    return None
