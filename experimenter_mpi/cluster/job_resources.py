"""What a job asks for beyond ranks and time, checked: memory, GPUs, mail, dependencies.

Not every scheduler has a word for each of them; what one cannot do is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .schedulers import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .job import Job

_MEMORY = re.compile(r"([1-9]\d{0,8})([MGT])B?", re.IGNORECASE)
_MEGABYTES = {"M": 1, "G": 1024, "T": 1024**2}
_ADDRESS = re.compile(r"[\w.+-]+(?:@[\w.-]+)?")
# As the schedulers print them: 17, 17[].server, ƒ2XAbc.
_JOB_ID = re.compile(r"\w[\w.@-]*(?:\[\])?[\w.@-]*")

# What a scheduler has no option for, and what to do instead.
_LACKING = {
    ("flux", "memory"): "omit it; jobs share the memory of their nodes",
    ("flux", "mail"): "omit it",
    ("flux", "array_limit"): "omit it; an array is as many jobs as it has tasks",
    ("sge", "gpus_per_rank"): "each site names them itself: use --directive='-l gpu=1'",
}


def megabytes(memory: str) -> int:
    """Return how many megabytes ``500M``, ``4G`` or ``1T`` are."""
    found = _MEMORY.fullmatch(memory)
    return 0 if found is None else int(found[1]) * _MEGABYTES[found[2].upper()]


def wrong_resources(job: Job) -> Iterator[str]:
    """Yield what is wrong with what a job asks for."""
    for (scheduler, name), instead in _LACKING.items():
        if job.scheduler == scheduler and getattr(job, name) is not None:
            option = f"--{name.replace('_', '-')}"
            yield f"{name_of(scheduler)} has no option for {option}: {instead}"
    if job.memory is not None and not _MEMORY.fullmatch(str(job.memory)):
        yield f"--memory is {job.memory!r}; it must be a size such as 500M or 4G"
    if job.mail is not None and not _ADDRESS.fullmatch(str(job.mail)):
        yield f"--mail is {job.mail!r}; it must be an address"
    for number in job.depends_on:
        if not _JOB_ID.fullmatch(number):
            yield f"--depends-on is {number!r}; it must be the number of a job"
    if job.exclusive and job.scheduler == "flux" and job.nodes is None:
        yield "Flux gives whole nodes only by their number: add --nodes to --exclusive"
    yield from _without_effect(job)


def _without_effect(job: Job) -> Iterator[str]:
    """Yield options that would be ignored."""
    if job.array_limit is not None and job.array is None:
        yield "--array-limit is for arrays: add --array, or omit it"
    if job.max_runs is not None and not job.resume:
        yield "--max-runs is for jobs that run again: add --resume, or omit it"
    if job.parallel_environment is not None and job.scheduler != "sge":
        yield (
            f"--pe is for Grid Engine; {name_of(job.scheduler)} has no parallel "
            "environments: omit it"
        )
