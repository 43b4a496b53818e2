"""When the scheduler ends this job, asked once, by rank 0, before MPI starts.

Asking may need a child process, which MPI forbids once it has started. Slurm's sites
differ in whether they set ``SLURM_JOB_END_TIME``; the other schedulers set nothing.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from .cluster import schedulers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A scheduler that is busy or gone must not keep the run from starting.
ASK_SECONDS = 10.0
# What is said to end later than that, or never, is not waited for.
FAR_SECONDS = 10 * 365 * 86400.0

_known: list[float | None] = []


def left() -> float | None:
    """Give the seconds until the scheduler ends this job, None if it will not say."""
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
    """Give when the job ends, in seconds since the epoch.

    ``ask`` runs a scheduler's command and gives what it prints, None if it fails. Of
    jobs inside one another the one counts that ends first.
    """
    ends = []
    for scheduler, job in schedulers.jobs(environment).items():
        try:
            ends.append(_ENDS[scheduler](environment, job, ask))
        except (ValueError, OverflowError):  # words of a version unknown to us
            continue
    last = time.time() + FAR_SECONDS
    known = (end for end in ends if end is not None and end < last)  # and no NaN
    return min(known, default=None)


def _of_slurm(
    environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    known = environment.get("SLURM_JOB_END_TIME", "")
    # One that has passed was put off since, or is that of a job which a shell outlived.
    if known.isdecimal() and float(known) > time.time():
        return float(known)
    # One task of an array bears the number of the whole, which would list them all.
    if "SLURM_ARRAY_JOB_ID" in environment and "SLURM_ARRAY_TASK_ID" in environment:
        array, task = environment["SLURM_ARRAY_JOB_ID"], "SLURM_ARRAY_TASK_ID"
        job = f"{array}_{environment[task]}"
    # TIME_LEFT, as D-HH:MM:SS; UNLIMITED and the like are no durations.
    said = ask("squeue", "--noheader", "--jobs", job, "--format", "%L")
    return _from_now(said)


def _of_pbs(
    _environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """OpenPBS and PBS Pro: walltime asked for, less walltime used."""
    said = ask("qstat", "-f", job)
    attributes = _attributes(said or "", "=")
    limit = attributes.get("Resource_List.walltime")
    if limit is None:
        return None
    used = attributes.get("resources_used.walltime", "0")
    return time.time() + seconds(limit) - seconds(used)


def _of_grid_engine(
    _environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """Grid Engine: ``h_rt`` in seconds from when this job's shell was started."""
    attributes = _attributes(ask("qstat", "-j", job) or "", ":")
    asked = attributes.get("hard resource_list", "")
    limits = dict(item.partition("=")[::2] for item in asked.split(","))
    started = _started()
    if started is None or "h_rt" not in limits:
        return None
    return started + seconds(limits["h_rt"])


def _of_lsf(
    _environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """LSF: hours and minutes to the run limit, as in ``1:30 L``; E is but a guess."""
    said = ask("bjobs", "-noheader", "-o", "time_left", job)
    left, _, kind = (said or "").strip().partition(" ")
    if kind.strip() != "L":
        return None
    hours, _, minutes = left.rpartition(":")
    return time.time() + int(hours or 0) * 3600 + int(minutes) * 60


def _of_flux(
    _environment: Mapping[str, str], _job: str, ask: Callable[..., str | None]
) -> float | None:
    """Flux: seconds that are left to the job, or to the instance, that we are in."""
    return _from_now(ask("flux", "job", "timeleft"))


_ENDS = {
    "slurm": _of_slurm,
    "pbs": _of_pbs,
    "sge": _of_grid_engine,
    "lsf": _of_lsf,
    "flux": _of_flux,
}


def _attributes(text: str, sign: str) -> dict[str, str]:
    pairs = (line.partition(sign) for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _from_now(duration: str | None) -> float | None:
    if duration is None or not duration.strip()[:1].isdecimal():
        return None
    return time.time() + seconds(duration.strip())


def seconds(text: str) -> float:
    """Read a duration as schedulers write it: SS, MM:SS, HH:MM:SS or D-HH:MM:SS.

    After days come hours, as Slurm reads it: 1-12 and 1-12:30 are days and hours.

    Raises:
        ValueError: it is none.
    """
    days, dash, rest = text.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    if len(parts) > len(("hours", "minutes", "seconds")) or min(parts) < 0:
        msg = f"'{text}' is no duration"
        raise ValueError(msg)
    if dash:
        parts += [0.0] * (len(("hours", "minutes", "seconds")) - len(parts))
    total = 0.0
    for part in parts:
        total = total * 60 + part
    return total + (int(days) * 86400 if dash else 0)


def _started() -> float | None:
    """Give when the job's shell started: the child of Grid Engine's shepherd."""
    pid = os.getpid()
    try:
        while pid > 1:
            _, parent, started = _process(pid)
            if _process(parent)[0].startswith("sge_shepherd"):
                return _booted() + started / os.sysconf("SC_CLK_TCK")
            pid = parent
    except (OSError, ValueError, IndexError):
        return None
    return None


def _process(pid: int) -> tuple[str, int, int]:
    """Give a process's name, its parent, and when it started in ticks since boot."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        head, _, tail = file.read().rpartition(")")
    fields = tail.split()
    return head.partition("(")[2], int(fields[1]), int(fields[19])


def _booted() -> float:
    with open("/proc/stat", encoding="ascii") as file:
        return next(float(line.split()[1]) for line in file if line[:5] == "btime")


def _ask(*command: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - a scheduler's own command
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return done.stdout if done.returncode == 0 else None


def _ask_nobody(*_command: str) -> str | None:
    """MPI has started without us: the environment is all there is."""
    return None
