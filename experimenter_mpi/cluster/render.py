"""Job scripts as text: ``render`` gives one that can be submitted as it is.

The files in jobs/ are what it renders for a job of which nothing was asked.
"""

from __future__ import annotations

from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from . import script_parts as parts
from .schedulers import described
from .script_head import head
from .script_launch import launching
from .script_settings import settings, surroundings
from .submitting import by_hand

if TYPE_CHECKING:
    from .job import Job

_PURPOSES = {
    "run": "Runs {script} on {ranks} ranks. Submitted again, it goes on where it was.",
    "resume": "Runs {script} on {ranks} ranks, again after each walltime till all is "
    "done.",
    "array": "An array of {array} tasks on {ranks} ranks each: each runs its share of "
    "{script}.",
    "fault-tolerant": "Runs {script} on {ranks} ranks of Open MPI, and goes on when "
    "ranks die.",
    "merge": "Merges what the tasks of an array found into one database.",
}
# What stands where the reader's own job number goes.
JOB_NUMBER = "JOBID"


def render(job: Job) -> str:
    """Return the text of a job's script."""
    words = described(job.scheduler).script
    run = [parts.FORWARDING] if job.resume else [parts.PLAIN]
    end = [parts.DECIDING, words.again]
    return _joined(
        _opening(job, job.kind),
        settings(job),
        surroundings(job),
        words.staged_python or parts.STAGED_PYTHON,
        parts.STAGED_DATABASE,
        launching(job),
        *run,
        parts.COPY_BACK,
        *(end if job.resume else [parts.FINISHING]),
    )


def render_merge(job: Job, file: str | None = None) -> str:
    """Return the text of the job that follows an array and merges what its tasks found.

    ``file`` is where it will stand, if not beside the array's own.
    """
    merge = merging(job, file)
    return _joined(
        _opening(merge, "merge"),
        settings(merge, runs=False),
        surroundings(merge, runs=False),
        parts.MERGING,
    )


def merging(job: Job, file: str | None = None) -> Job:
    """Return the job of one process that merges what the tasks of an array found."""
    return replace(
        job,
        ranks=1,
        nodes=None,
        cpus_per_rank=1,
        array=None,
        merges=job.array,
        resume=False,
        fault_tolerant=False,
        max_runs=None,
        array_limit=None,
        directives=(),
        depends_on=(),
        memory=None,
        gpus_per_rank=None,
        exclusive=False,
        name=f"{job.called}-merge",
        file=file or merge_file(job.file or "array.sh"),
    )


def merge_file(file: str) -> str:
    """Name the script of the job that merges beside that of its array."""
    stem, dot, ending = file.rpartition(".")
    return f"{stem}-merge.{ending}" if dot else f"{file}-merge"


def _joined(*texts: str) -> str:
    return "\n".join(text.strip("\n") + "\n" for text in texts)


def _opening(job: Job, kind: str) -> str:
    purpose = _PURPOSES[kind].format(
        script=job.script, ranks=job.ranks, array=job.array
    )
    file, scheduler = job.file or f"{kind}.sh", described(job.scheduler)
    sign = scheduler.script.sign
    lines = [
        f"{purpose} For {scheduler.name}.",
        f'Edit: the lines "{sign}", "What to run" and "With what"; take the # from',
        "options that you want. Then:",
        f"    mkdir -p {quote(job.logs)} && {_submission(job, kind, file)}",
    ]
    lines += scheduler.script.remarks(job)
    if kind == "merge" and job.scheduler == "flux":
        lines.append("with as many of these dependencies as the array has jobs.")
    commented = [f"# {line}" for line in lines]
    return "\n".join(["#!/bin/bash", *commented, "#", *head(job), ""])


def _submission(job: Job, kind: str, file: str) -> str:
    after = [JOB_NUMBER] if kind == "merge" else job.depends_on
    return by_hand(job.scheduler, file, after=after, shares=job.array)
