"""LSF: what its jobs know, how its scripts are written, its commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..durations import minutes
from .description import (
    Commands,
    JobVariables,
    Listing,
    Scheduler,
    ScriptWords,
    TaskVariables,
)
from .reading import lines, number_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..job import Job


def _hosts(environment: Mapping[str, str]) -> list[str]:
    names = lines(environment.get("LSB_DJOB_HOSTFILE"))
    return names or environment.get("LSB_HOSTS", "").split()


def _ends_at(
    _environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """Hours and minutes to the run limit, as in ``1:30 L``; E is but a guess."""
    said = ask("bjobs", "-noheader", "-o", "time_left", job)
    left, _, kind = (said or "").strip().partition(" ")
    if kind.strip() != "L":
        return None
    hours, _, rest = left.rpartition(":")
    return time.time() + int(hours or 0) * 3600 + int(rest) * 60


def _directives(job: Job) -> Iterator[str]:
    tasks = "" if job.array is None else f"[1-{job.array}]"
    if job.array_limit is not None:
        tasks += f"%{job.array_limit}"
    yield f'-J "{job.called}{tasks}"'
    yield f"-n {job.ranks}"
    if job.nodes is not None:
        yield f'-R "span[ptile={job.ranks // job.nodes}]"'
    if job.cpus_per_rank > 1:
        yield f'-R "affinity[core({job.cpus_per_rank})]"'
    yield from _resources(job)
    yield f"-W {minutes(job.seconds)}"
    yield f'-o "{_log(job, "%J", "%I")}"'
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-P {job.account}"
    if job.resume:
        yield "-wa USR1"
        yield f"-wt {minutes(job.noticed)}"
        # Exit code 75 means: run again.
        yield '-Q "75"'
        yield "-r"  # when its host fails


def _resources(job: Job) -> Iterator[str]:
    if job.memory is not None:
        yield f'-R "rusage[mem={job.megabytes()}MB/task]"'
    if job.gpus_per_rank is not None:
        yield f'-gpu "num={job.gpus_per_rank}/task"'
    if job.exclusive:
        yield "-x"
    if job.mail is not None:
        yield f"-u {job.mail}"
        yield "-N"


def _remarks(job: Job) -> Iterator[str]:
    if job.cpus_per_rank > 1:
        yield "The site must have enabled affinity[]: the line schmod_affinity in its"
        yield "lsb.modules, and AFFINITY for the hosts in its lsb.hosts."
    if job.memory is not None or job.gpus_per_rank is not None:
        yield "Memory or GPUs for each task (/task) need LSF 10.1.0.9 or later."


def _log(job: Job, number: str, index: str) -> str:
    task = "" if job.array is None else f".{index}"
    return f"{job.logs}/{job.called}-{number}{task}.out"


def _begins(job: Job) -> Iterator[str]:
    """Write to the log as the job runs: LSF itself fills it when the job has ended."""
    log = _log(job, "$LSB_JOBID", "$LSB_JOBINDEX")
    folder = "" if job.logs.startswith("/") else "$LS_SUBCWD/"
    yield "# The log grows as the job runs; LSF adds its report when it has ended."
    yield f'exec >>"{folder}{log}" 2>&1'


_AGAIN = r"""
# `-Q "75"` above puts a job that ends with it back into the queue.
exit 75
"""

SCHEDULER = Scheduler(
    "LSF",
    JobVariables(
        slots=number_in("LSB_DJOB_NUMPROC"),
        hosts=_hosts,
        ends_at=_ends_at,
        task=TaskVariables(
            "LSB_JOBINDEX", 1, "", "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP"
        ),
    ),
    ScriptWords(
        sign="#BSUB",
        commented="##BSUB {option}",
        directives=_directives,
        proposed=(
            ("queue", "-q NAME"),
            ("account", "-P NAME"),
            ("memory", '-R "rusage[mem=2GB]"'),
        ),
        in_job="$LSB_JOBID",
        submitted_in="$LS_SUBCWD",
        ranks=lambda _job: "$LSB_DJOB_NUMPROC",
        share="$LSB_JOBINDEX",
        chain="$LSB_JOBNAME-$LSB_JOBID-$LSB_JOBINDEX",
        again=_AGAIN,
        begins=_begins,
        remarks=_remarks,
    ),
    Commands(
        submit=("bsub",),
        after=lambda jobs: ["-w", " && ".join(f"ended({job})" for job in jobs)],
        log=lambda job, number: _log(job, number, "*"),
        number=r"Job <(\d+)>",
        follow="bjobs",
        between=" ",
        cancel="bkill",
        reads_input=True,
    ),
    Listing(
        lambda _jobs: ["bjobs", "-a", "-noheader", "-o", "jobid stat"],
        pattern=r"^(\d+) +(\w+)",
        queued="PEND|PSUSP|WAIT",
        ended="DONE|EXIT",
        forgotten="No .*job found",
    ),
)
