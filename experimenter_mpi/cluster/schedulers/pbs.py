"""OpenPBS and PBS Pro: what jobs know, how scripts are written, the commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..durations import hours, seconds
from .description import (
    Commands,
    JobVariables,
    Listing,
    Scheduler,
    ScriptWords,
    TaskVariables,
)
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
    more = ""
    if job.memory is not None:
        more += f":mem={each * job.megabytes()}mb"
    if job.gpus_per_rank is not None:
        more += f":ngpus={each * job.gpus_per_rank}"
    yield f"-l select={chunks}:ncpus={cpus}:mpiprocs={each}{more}"
    shared = ":excl" if job.exclusive else ""
    yield f"-l place={'scatter' if job.nodes else 'free'}{shared}"
    yield f"-l walltime={hours(job.seconds)}"
    yield "-j oe"
    # Directly to the file, as it is written, where the node sees that folder.
    yield "-k oed"
    yield f"-o {quoted(f'{job.logs}/')}"
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-A {job.account}"
    if job.array is not None:
        limit = "" if job.array_limit is None else f"%{job.array_limit}"
        yield f"-J 1-{job.array}{limit}"
    if job.mail is not None:
        yield f"-M {job.mail}"
        yield "-m ae"
    if job.resume:
        yield "-r y"  # when its node fails


def _begins(job: Job) -> Iterator[str]:
    if job.merges is None:  # which takes no time to speak of
        yield _SHELL_ABOVE.strip()


# What PBS sends to a job goes to each process of its session. The shell that reads the
# script's name from PBS is the first of them, and the job ends with it.
_SHELL_ABOVE = r"""
# PBS signals the shell that runs this script, too: it would end, and the job with it.
# So that shell stands still until the script has ended.
pbs_mom=$(ps -o comm= -p "$(ps -o ppid= -p "$PPID" | tr -d ' ')" 2>/dev/null)
if [ "$pbs_mom" = pbs_mom ] && [ "$1" != "--below" ] && kill -s STOP "$PPID"; then
    trap : USR1 USR2 TERM INT HUP # this copy only waits for the next
    "$BASH" "$0" --below
    code=$?
    kill -s CONT "$PPID"
    exit "$code"
fi
"""

_AGAIN = r"""
# PBS lets only operators requeue a job, so this one submits its successor, with the
# options and variables that it was submitted with itself.
export EXPERIMENTER_CHAIN=$chain
insist "$python" -m experimenter_mpi.cluster.successor pbs "$submitted_in" \
    "$job_script" "${shared:-$database}" ||
    end 3 "work is left, but qsub refuses; submit $job_script again"
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
        needs=("qsub", "qstat"),
        resubmits=True,
        submits_file=True,
        begins=_begins,
        keeps_first="-l",
    ),
    Commands(
        submit=("qsub",),
        after=lambda jobs: ["-W", f"depend=afterany:{':'.join(jobs)}"],
        log=lambda job, number: f"{job.logs}/{number.replace('[]', '[*]')}.OU",
        number=r"^(\d+(?:\[\])?\S*)",
        follow="qstat",
        between=" ",
        cancel="qdel",
    ),
    Listing(
        lambda jobs: ["qstat", "-f", *jobs],
        pattern=r"^Job Id: (\S+)$(?:(?!^Job Id).)*?^ +job_state = (\w)",
        queued="[QHWT]",
        ended="[FXM]",
        forgotten="Unknown Job Id|has finished",
    ),
)
