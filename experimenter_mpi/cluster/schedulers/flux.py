"""Flux: what its jobs know, how its scripts are written, its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..durations import from_now, minutes
from .description import (
    Commands,
    JobVariables,
    Listing,
    Scheduler,
    ScriptWords,
    TaskVariables,
)
from .reading import number_in, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..job import Job


def _ends_at(
    _environment: Mapping[str, str], _job: str, ask: Callable[..., str | None]
) -> float | None:
    """Seconds that are left to the job, or to the instance, that this is in."""
    return from_now(ask("flux", "job", "timeleft"))


def _directives(job: Job) -> Iterator[str]:
    yield f"--job-name={job.called}"
    if job.nodes is not None:
        yield f"--nodes={job.nodes}"
    yield f"--nslots={job.ranks}"
    if job.cpus_per_rank > 1:
        yield f"--cores-per-slot={job.cpus_per_rank}"
    if job.gpus_per_rank is not None:
        yield f"--gpus-per-slot={job.gpus_per_rank}"
    if job.exclusive:
        yield "--exclusive"
    yield f"--time-limit={minutes(job.seconds)}m"
    yield f"--output={quoted(f'{job.logs}/{job.called}-{{{{id}}}}.out')}"
    if job.queue is not None:
        yield f"--queue={job.queue}"
    if job.account is not None:
        yield f"--bank={job.account}"
    # No --signal: it goes to the brokers of all nodes, which end of it.


def _exports(_job: Job) -> Iterator[str]:
    """Leave it to the script to tell the launcher, which hands a hangup on as it is."""
    yield "exec </dev/null"
    yield "set -m # a process group for the launcher: `flux cancel` hangs up this one's"


_AGAIN = r"""
# A Flux job cannot be requeued, so this one submits its successor: its own script, with
# the options and variables that it was submitted with itself.
export EXPERIMENTER_CHAIN=$chain
insist "$python" -m experimenter_mpi.cluster.successor flux . "$0" \
    "${shared:-$database}" ||
    end 3 "work is left, but flux refuses; submit this script again"
exit 0
"""

SCHEDULER = Scheduler(
    "Flux",
    JobVariables(
        slots=number_in("FLUX_JOB_SIZE"),
        hosts=lambda _environment: [],  # Flux names none to the processes of a job
        ends_at=_ends_at,
        task=TaskVariables("FLUX_JOB_CC", 0),
    ),
    ScriptWords(
        sign="# flux:",
        # Flux wants every line of the block to begin with the same sign.
        commented="# flux: # {option}",
        directives=_directives,
        proposed=(("queue", "--queue=NAME"), ("account", "--bank=NAME")),
        in_job=None,  # its variables differ by version
        submitted_in="$PWD",
        ranks=lambda job: f"{job.ranks} # as --nslots above",
        share="$EXPERIMENTER_SHARE # given by the line that submits, at the top",
        chain="${EXPERIMENTER_CHAIN:-$FLUX_ENCLOSING_ID}",
        again=_AGAIN,
        needs=("flux",),
        resubmits=True,
        exports=_exports,
    ),
    Commands(
        submit=("flux", "batch"),
        after=lambda jobs: [f"--dependency=afterany:{job}" for job in jobs],
        log=lambda job, number: f"{job.logs}/{job.called}-{number}.out",
        number=r"(\S+)\s*$",
        follow="flux jobs",
        between=" ",
        cancel="flux cancel",
        submits_tasks="for k in $(seq {shares}); do {line}; done",
    ),
    Listing(
        lambda jobs: ["flux", "jobs", "-n", "-o", "{id.f58} {state}", *jobs],
        pattern=r"^(\S+) (\w+)",
        queued="DEPEND|PRIORITY|SCHED",
        ended="INACTIVE",
        forgotten="(?i)unknown|not found|no such",
    ),
)
