"""The scheduler's job and the launcher, as their variables have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cluster.schedulers import NONE, name_of
from ..errors import counted
from .findings import NOTE, OK, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..mpi.detection import Environment


def scheduler(found: Environment) -> Finding:
    """Name the job this is in."""
    if found.scheduler == NONE:
        return Finding("scheduler", OK, "none: this is not a job")
    parts = [f"{name_of(found.scheduler)} job {found.job_id}"]
    if found.slots is not None:
        parts.append(f"for {counted(found.slots, 'rank')}")
    if found.hosts:
        parts.append(f"on {_some(found.hosts)}")
    return Finding("scheduler", OK, " ".join(parts))


def time_left(found: Environment) -> Iterator[Finding]:
    """Report the time left of a job, on its rank 0."""
    if found.scheduler == NONE:
        return
    if found.time_left is None:
        text = "the scheduler does not say when the job ends"
        remedy = "give run a --time-limit, or have the scheduler send a signal before"
        yield Finding("time left", NOTE, text, remedy)
        return
    if found.time_left < 1:
        text = f"{name_of(found.scheduler)} says that the job has ended or is about to"
        remedy = (
            "a run would stop at once: start it in a new job; in a shell left over "
            f"from an earlier job, unset the variables of {name_of(found.scheduler)}"
        )
        yield Finding("time left", PROBLEM, text, remedy)
        return
    minutes, seconds = divmod(round(found.time_left), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}; a run stops by itself before that"
    yield Finding("time left", OK, text)


def launcher(found: Environment) -> Finding:
    """Name what started this process."""
    if found.launcher is None:
        return Finding("launcher", OK, "none: this process was started directly")
    said = "" if found.promised == 1 else f", which says {found.promised} processes"
    return Finding("launcher", OK, f"{found.launcher}{said}")


def start(slots: int, lines: str) -> Finding:
    """Report how to start ranks if none were launched."""
    if slots > 1:
        text = f"the job was asked for {slots} ranks, and this is one process"
        return Finding("ranks", NOTE, text, f"launch with {lines}")
    return Finding("ranks", OK, f"several are started by {lines}")


_SHOWN = 4


def _some(hosts: tuple[str, ...]) -> str:
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    return f"{', '.join(hosts[:_SHOWN])}{more}"
