"""OpenPBS and PBS Pro: what jobs know, how scripts are written, the commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..durations import hours, seconds
from .description import Commands, JobVariables, Scheduler, ScriptWords, TaskVariables
from .reading import attributes, lines, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..job import Job


def _hosts(environment: Mapping[str, str]) -> list[str]:
    return lines(environment.get("PBS_NODEFILE"))


def _slots(environment: Mapping[str, str]) -> int | None:
    return len(_hosts(environment)) or None


def _ends_at(
    _environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """The walltime that was asked for, less what is used of it."""
    known = attributes(ask("qstat", "-f", job) or "", "=")
    limit = known.get("Resource_List.walltime")
    if limit is None:
        return None
    used = known.get("resources_used.walltime", "0")
    return time.time() + seconds(limit) - seconds(used)


def _directives(job: Job) -> Iterator[str]:
    yield f"-N {job.called}"
    chunks = job.nodes or job.ranks
    each = job.ranks // chunks
    cpus = each * job.cpus_per_rank
    yield f"-l select={chunks}:ncpus={cpus}:mpiprocs={each}"
    yield f"-l place={'scatter' if job.nodes else 'free'}"
    yield f"-l walltime={hours(job.seconds)}"
    yield "-j oe"
    yield f"-o {quoted(f'{job.logs}/')}"
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-A {job.account}"
    if job.array is not None:
        yield f"-J 1-{job.array}"
    if job.resume:
        # PBS must not start it again by itself: it is submitted again below.
        yield "-r n"


_AGAIN = r"""
# PBS lets only operators requeue a job, so this one submits its successor.
cd -- "$submitted_in" || exit 3
qsub -v "EXPERIMENTER_CHAIN=$chain" "$job_script" || exit 3
exit 0
"""

SCHEDULER = Scheduler(
    "PBS",
    JobVariables(
        slots=_slots,
        hosts=_hosts,
        ends_at=_ends_at,
        task=TaskVariables("PBS_ARRAY_INDEX", 0),
    ),
    ScriptWords(
        sign="#PBS",
        commented="##PBS {option}",
        directives=_directives,
        proposed=(("queue", "-q NAME"), ("account", "-A NAME")),
        in_job="$PBS_JOBID",
        submitted_in="$PBS_O_WORKDIR",
        ranks=lambda _job: '$(grep -c "" "$PBS_NODEFILE")',
        share="$PBS_ARRAY_INDEX",
        chain="${EXPERIMENTER_CHAIN:-$PBS_JOBNAME-$PBS_JOBID}",
        again=_AGAIN,
        resubmits=True,
    ),
    Commands(
        submit=("qsub",),
        after="-W depend=afterany:{id}",
        number=r"^(\d+(?:\[\])?\S*)",
        follow="qstat",
        between=" ",
        cancel="qdel",
    ),
)
