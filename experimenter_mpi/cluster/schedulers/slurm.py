"""Slurm: what its jobs know, how its scripts are written, its commands."""

from __future__ import annotations

import itertools
import re
import time
from typing import TYPE_CHECKING

from ..durations import from_now, hours
from .description import (
    Commands,
    JobVariables,
    Listing,
    Scheduler,
    ScriptWords,
    TaskVariables,
)
from .reading import number_in, quoted, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..job import Job


def _hosts(environment: Mapping[str, str]) -> list[str]:
    return expanded(environment.get("SLURM_JOB_NODELIST", ""))


def expanded(nodes: str) -> list[str]:
    """Expand Slurm's short form: ``n[08-10],login`` is n08, n09, n10, login."""
    names = re.findall(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    return [host for name in names for host in _hosts_of(name)]


def _hosts_of(name: str) -> Iterator[str]:
    pieces = re.split(r"\[([^\]]*)\]", name)
    choices = [
        list(_numbers(piece)) if place % 2 else [piece]
        for place, piece in enumerate(pieces)
    ]
    return map("".join, itertools.product(*choices))


def _numbers(ranges: str) -> Iterator[str]:
    for piece in ranges.split(","):
        first, _, last = piece.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            yield piece
            continue
        for number in range(int(first), int(last or first) + 1):
            yield f"{number:0{len(first)}}"


def _ends_at(
    environment: Mapping[str, str], job: str, ask: Callable[..., str | None]
) -> float | None:
    """Sites differ in whether they set ``SLURM_JOB_END_TIME``."""
    known = environment.get("SLURM_JOB_END_TIME", "")
    # One that has passed was put off since, or is that of a job which a shell outlived.
    if known.isdecimal() and float(known) > time.time():
        return float(known)
    # One task of an array bears the number of the whole, which would list them all.
    if "SLURM_ARRAY_JOB_ID" in environment and "SLURM_ARRAY_TASK_ID" in environment:
        array, task = environment["SLURM_ARRAY_JOB_ID"], "SLURM_ARRAY_TASK_ID"
        job = f"{array}_{environment[task]}"
    # TIME_LEFT, as D-HH:MM:SS; UNLIMITED and the like are no durations.
    return from_now(ask("squeue", "--noheader", "--jobs", job, "--format", "%L"))


def _directives(job: Job) -> Iterator[str]:
    yield f"--job-name={job.called}"
    yield from _size(job)
    yield f"--time={hours(job.seconds)}"
    number = "%j" if job.array is None else "%A_%a"
    yield f"--output={quoted(f'{job.logs}/%x-{number}.out')}"
    if job.queue is not None:
        yield f"--partition={job.queue}"
    if job.account is not None:
        yield f"--account={job.account}"
    if job.array is not None:
        limit = "" if job.array_limit is None else f"%{job.array_limit}"
        yield f"--array=1-{job.array}{limit}"
    if job.mail is not None:
        yield f"--mail-user={job.mail}"
        yield "--mail-type=END,FAIL"
    if job.resume:
        # B: since only the script below knows whom to tell. Slurm may be early by 60 s.
        yield f"--signal=B:USR1@{job.noticed}"
        yield "--requeue"
        yield "--open-mode=append"


def _size(job: Job) -> Iterator[str]:
    if job.nodes is not None:
        yield f"--nodes={job.nodes}"
    yield f"--ntasks={job.ranks}"
    if job.cpus_per_rank > 1:
        yield f"--cpus-per-task={job.cpus_per_rank}"
    if job.memory is not None:
        yield f"--mem-per-cpu={job.megabytes(job.cpus_per_rank)}M"
    if job.gpus_per_rank is not None:
        yield f"--gpus-per-task={job.gpus_per_rank}"
    if job.exclusive:
        yield "--exclusive"


def _exports(job: Job) -> Iterator[str]:
    """Have srun give each rank its cores: since Slurm 22.05 it asks for them anew."""
    if job.cpus_per_rank > 1:
        yield f"export SRUN_CPUS_PER_TASK={job.cpus_per_rank} # else srun gives one"
    if job.gpus_per_rank is not None:
        # mpiexec starts one process on each node by srun, which then starts the ranks.
        yield "unset SLURM_GPUS_PER_TASK # so that a launcher gets all GPUs of its node"


def _log(job: Job, number: str, task: str) -> str:
    return f"{job.logs}/{job.called}-{number}{'' if job.array is None else task}.out"


_AGAIN = r"""
# The same job goes back into the queue, unless it is being cancelled. One task of an
# array bears the number of the whole: it must be named as a task.
id=$SLURM_JOB_ID
[ -z "$SLURM_ARRAY_TASK_ID" ] || id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
state=$(insist squeue --noheader --jobs "$id" --format %T)
if [ "$state" != RUNNING ]; then
    end 143 "work is left, but this job is ${state:-unknown to squeue}, so it is not \
requeued; submit it again"
fi
insist scontrol requeue "$id" || end 3 "work is left, but Slurm does not requeue this \
job; submit it again"
exit 75
"""
_STAGED_PYTHON = r"""
# Optional: read Python from each node's own disk. Once, where it is now:
#     tar -C "$HOME/venv" -czf "$HOME/venv.tar.gz" .
#near=/tmp/venv-$SLURM_JOB_ID
#on_each_node() { srun --ntasks="$SLURM_NNODES" --ntasks-per-node=1 "$@"; }
#sbcast --force "$HOME/venv.tar.gz" "$near.tar.gz" || exit 3
#on_each_node mkdir -p "$near" || exit 3
#on_each_node tar -C "$near" -xzf "$near.tar.gz" || exit 3
#trap 'on_each_node rm -rf "$near" "$near.tar.gz"' EXIT
#python=$near/bin/python
#PATH=$near/bin:$PATH
"""

SCHEDULER = Scheduler(
    "Slurm",
    JobVariables(
        slots=number_in("SLURM_NTASKS", "SLURM_NPROCS"),
        hosts=_hosts,
        ends_at=_ends_at,
        task=TaskVariables(
            "SLURM_ARRAY_TASK_ID",
            0,
            "SLURM_ARRAY_TASK_MIN",
            "SLURM_ARRAY_TASK_MAX",
            "SLURM_ARRAY_TASK_STEP",
            "SLURM_ARRAY_TASK_COUNT",
        ),
    ),
    ScriptWords(
        sign="#SBATCH",
        commented="##SBATCH {option}",
        directives=_directives,
        proposed=(
            ("queue", "--partition=NAME"),
            ("account", "--account=NAME"),
            ("memory", "--mem-per-cpu=2G"),
        ),
        in_job="$SLURM_JOB_ID",
        submitted_in="$SLURM_SUBMIT_DIR",
        ranks=lambda _job: "$SLURM_NTASKS",
        share="$SLURM_ARRAY_TASK_ID",
        chain="$SLURM_JOB_NAME-$SLURM_JOB_ID",
        again=_AGAIN,
        needs=("squeue", "scontrol"),
        staged_python=_STAGED_PYTHON,
        exports=_exports,
    ),
    Commands(
        submit=("sbatch", "--parsable"),
        after=lambda jobs: [f"--dependency=afterany:{':'.join(jobs)}"],
        log=lambda job, number: _log(job, number, "_*"),
        number=r"^(\d+)",
        follow="squeue --jobs",
        between=",",
        cancel="scancel",
    ),
    Listing(
        # All of the user's: of one that it does not know any more it prints an error.
        lambda _jobs: ["squeue", "--noheader", "--user", user(), "--format", "%F %T"],
        pattern=r"^(\d+) (\w+)$",
        queued="PENDING|CONFIGURING|REQUEUED|REQUEUE_FED|REQUEUE_HOLD|RESV_DEL_HOLD",
        ended="BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|"
        "TIMEOUT",
    ),
)
