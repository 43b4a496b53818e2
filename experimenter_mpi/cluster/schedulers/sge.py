"""Grid Engine: what its jobs know, how its scripts are written, its commands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import processes
from ..durations import hours, seconds
from .description import (
    Commands,
    JobVariables,
    Listing,
    Scheduler,
    ScriptWords,
    TaskVariables,
)
from .reading import attributes, lines, number_in, quoted, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..job import Job


def _hosts(environment: Mapping[str, str]) -> list[str]:
    return [line.split()[0] for line in lines(environment.get("PE_HOSTFILE"))]


def _ends_at(
    _environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """``h_rt`` in seconds from when this job's shell was started."""
    known = attributes(ask("qstat", "-j", job) or "", ":")
    asked = known.get("hard resource_list", "")
    limits = dict(item.partition("=")[::2] for item in asked.split(","))
    started = _started()
    if started is None or "h_rt" not in limits:
        return None
    return started + seconds(limits["h_rt"])


def _started() -> float | None:
    """Return when the job's shell started: the child of Grid Engine's shepherd."""
    pid = os.getpid()
    try:
        while pid > 1:
            process = processes.stat(pid)
            if processes.stat(process.parent).name.startswith("sge_shepherd"):
                return processes.started_at(process)
            pid = process.parent
    except (OSError, ValueError, IndexError):
        return None
    return None


def _directives(job: Job) -> Iterator[str]:
    # Many sites do not heed the first line of a script.
    yield "-S /bin/bash"
    yield "-cwd"
    yield f"-N {job.called}"
    yield f"-pe {job.parallel_environment or 'mpi'} {job.ranks * job.cpus_per_rank}"
    if job.memory is not None:  # of a slot, of which a rank has one for each core
        yield f"-l h_vmem={job.megabytes(job.cpus_per_rank)}M"
    if job.exclusive:
        yield "-l exclusive=true"
    # No s_rt: with both, the last signal comes minutes after h_rt.
    yield f"-l h_rt={hours(job.seconds)}"
    yield "-j y"
    number = "$JOB_ID" if job.array is None else "$JOB_ID.$TASK_ID"
    yield f"-o {quoted(f'{job.logs}/$JOB_NAME-{number}.out')}"
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-P {job.account}"
    if job.array is not None:
        yield f"-t 1-{job.array}"
    if job.array_limit is not None:
        yield f"-tc {job.array_limit}"
    if job.mail is not None:
        yield f"-M {job.mail}"
        yield "-m ae"
    if job.resume:
        # SIGUSR2 comes before the end, by as much as the queue's `notify` says.
        yield "-notify"
        yield "-r y"


def _remarks(job: Job) -> Iterator[str]:
    if job.exclusive or job.memory is not None:
        yield "The site must have defined exclusive and h_vmem (qconf -sc lists them)."


def _ranks(job: Job) -> str:
    return "$NSLOTS" if job.cpus_per_rank == 1 else f"$((NSLOTS / {job.cpus_per_rank}))"


_AGAIN = r"""
# Exit code 99 puts a job with `-r y` back into the queue, unless it is being deleted.
state=$(qstat -u "$(id -un)" | awk -v id="$JOB_ID" -v task="$SGE_TASK_ID" \
    '$1 == id && (task !~ /^[0-9]/ || $NF == task) { print $5 }')
case $state in
*d*)
    echo "job script: this job is being deleted, so it does not run again"
    exit 143
    ;;
esac
exit 99
"""

SCHEDULER = Scheduler(
    "Grid Engine",
    JobVariables(
        slots=number_in("NSLOTS"),
        hosts=_hosts,
        ends_at=_ends_at,
        task=TaskVariables(
            "SGE_TASK_ID", 1, "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"
        ),
    ),
    ScriptWords(
        sign="#$",
        commented="##$ {option}",
        directives=_directives,
        proposed=(
            ("queue", "-q NAME"),
            ("account", "-P NAME"),
            ("memory", "-l h_vmem=2G"),
        ),
        in_job="$JOB_ID",
        submitted_in="$SGE_O_WORKDIR",
        ranks=_ranks,
        share="$SGE_TASK_ID",
        chain="$JOB_NAME-$JOB_ID-$SGE_TASK_ID",
        again=_AGAIN,
        remarks=_remarks,
    ),
    Commands(
        submit=("qsub", "-terse"),
        after=lambda jobs: ["-hold_jid", ",".join(jobs)],
        log=lambda job, number: (
            f"{job.logs}/{job.called}-{number}{'' if job.array is None else '.*'}.out"
        ),
        number=r"^(\d+)",
        follow="qstat -j",
        between=",",
        cancel="qdel",
    ),
    Listing(
        lambda _jobs: ["qstat", "-u", user()],
        pattern=r"^ *(\d+) +\S+ +\S+ +\S+ +(\w+) ",
        queued=r"\w*w\w*",
        ended="(?!)",
    ),
)
