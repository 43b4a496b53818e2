"""The variables of a job script: what to run, and with what."""

from __future__ import annotations

from shlex import join, quote
from typing import TYPE_CHECKING

from . import bodies
from .directives import hours, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .job import Job

# Where a reader who was told nothing else keeps Python.
_PYTHON = '"$HOME/venv/bin/python"'

_WHAT = "# ---- What to run " + "-" * 64
_WITH = "# ---- With what " + "-" * 66


def settings(job: Job, *, runs: bool = True) -> str:
    """Give the paragraph that says what to run; not how, if nothing ``runs``."""
    lines = [_WHAT, *(_guard(job) if runs else ()), *_folder(job)]
    if runs:
        lines.append(f"script={quote(job.script)}")
    lines.append(f"database={quote(job.database)}")
    if runs:
        options = join([*_limit(job), *job.options])
        lines.append(f"options=({options}) # of `run`; more: --grace 2:00 --isolate")
        lines.append(f"ranks={_ranks(job)}")
        lines += _share(job)
        lines += _chain(job)
    return "\n".join(lines)


def _guard(job: Job) -> Iterator[str]:
    """Do not run all of it on a login node."""
    number = bodies.IN_JOB.get(job.scheduler)
    if number is not None:
        yield f'[ -n "{number}" ] || {{'
        called = name_of(job.scheduler)
        yield f'    echo "job script: this is no job of {called}: submit it"'
        yield "    exit 3"
        yield "}"


def _folder(job: Job) -> Iterator[str]:
    where = bodies.SUBMITTED_IN[job.scheduler]
    if job.resume and job.scheduler in _RESUBMITTING:
        yield f'submitted_in="{where}"'
    if job.directory is not None:
        yield f"cd -- {quote(job.directory)} || exit 3"
    elif where != "$PWD":
        yield f'cd -- "{where}" || exit 3'


# These submit their successor, and so must know where their own script is.
_RESUBMITTING = ("pbs", "flux")


def _limit(job: Job) -> list[str]:
    """Have the run stop by its own clock, where no signal comes before the end."""
    if not job.resume or job.scheduler not in _RESUBMITTING:
        return []
    return ["--time-limit", hours(job.seconds - job.noticed)]


def _ranks(job: Job) -> str:
    given = bodies.RANKS.get(job.scheduler)
    if given is None:
        return f"{job.ranks} # as --nslots above"
    if job.scheduler == "sge" and job.cpus_per_rank > 1:
        return f"$((NSLOTS / {job.cpus_per_rank}))"
    return given


def _share(job: Job) -> Iterator[str]:
    if job.array is None:
        return
    yield f"shares={job.array} # as many as the array above has tasks"
    yield f"share={bodies.SHARE[job.scheduler]}"
    yield 'database="$database.parts/$share.db" # one for each task'
    yield 'options+=(--share "$share/$shares")'


def _chain(job: Job) -> Iterator[str]:
    if not job.resume:
        return
    yield f"logs={quote(job.logs)}"
    yield 'mkdir -p -- "$logs" || exit 3'
    yield f'chain="{bodies.CHAIN[job.scheduler]}"'
    yield f"max_runs={job.max_runs} # no job goes on for ever"
    if job.scheduler in _RESUBMITTING:
        file = "resume.sh" if job.file is None else quote(job.file)
        yield f"job_script={file} # this file, seen from where it is submitted"
        yield bodies.SUCCESSOR.strip()


def surroundings(job: Job) -> str:
    """Give the paragraph that says with which Python, modules and threads."""
    python = _PYTHON if job.python is None else quote(job.python)
    cores = job.cpus_per_rank
    others = " ".join(f"{name}={cores}" for name in _THREADS)
    lines = [
        _WITH,
        *(job.setup or ["#module load ..."]),
        f"python={python}",
        'PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first',
        f"export OMP_NUM_THREADS={cores} # as many threads as a rank has cores; also:",
        f"#export {others}",
        *_cores_of_srun(job),
        "#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant",
    ]
    return "\n".join(lines)


def _cores_of_srun(job: Job) -> Iterator[str]:
    """Have srun give each rank its cores: since Slurm 22.05 it asks for them anew."""
    if job.scheduler == "slurm" and job.cpus_per_rank > 1:
        yield f"export SRUN_CPUS_PER_TASK={job.cpus_per_rank} # else srun gives one"


# Not every numerical library heeds OpenMP's variable.
_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
