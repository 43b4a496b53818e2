"""The variables of a job script: what to run, and with what."""

from __future__ import annotations

from shlex import join, quote
from typing import TYPE_CHECKING

from .. import thread_variables
from .durations import hours
from .job import MOST_RUNS
from .schedulers import described
from .script_parts import SUCCESSOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .job import Job

# Where a reader who was told nothing else keeps Python.
_PYTHON = '"$HOME/venv/bin/python"'

_WHAT = "# ---- What to run " + "-" * 64
_WITH = "# ---- With what " + "-" * 66


def settings(job: Job, *, runs: bool = True) -> str:
    """Return the paragraph that says what to run; not how, if nothing ``runs``."""
    lines = [_WHAT, *(_guard(job) if runs else ())]
    lines += [*described(job.scheduler).script.begins(job), *_folder(job)]
    if runs:
        lines.append(f"script={quote(job.script)}")
    lines.append(f"database={quote(job.database)}")
    if job.merges is not None:
        lines.append(f"shares={job.merges} # as many as the array has tasks")
    if runs:
        if _limit(job):
            lines.append(
                f"# The time limit is the walltime above less {job.noticed} s."
            )
        options = join([*_limit(job), *job.options])
        lines.append(f"options=({options}) # of `run`; more: --grace 2:00 --isolate")
        lines.append(f"ranks={described(job.scheduler).script.ranks(job)}")
        lines += _share(job)
        lines += _chain(job)
    return "\n".join(lines)


def _guard(job: Job) -> Iterator[str]:
    """Do not run all of it on a login node."""
    scheduler = described(job.scheduler)
    if scheduler.script.in_job is not None:
        yield f'[ -n "{scheduler.script.in_job}" ] || {{'
        called = scheduler.name
        yield f'    echo "job script: this is no job of {called}: submit it"'
        yield "    exit 3"
        yield "}"


def _folder(job: Job) -> Iterator[str]:
    words = described(job.scheduler).script
    where = words.submitted_in
    if job.resume and words.submits_file:  # it must know where its own script is
        yield f'submitted_in="{where}"'
    if job.directory is not None:
        yield f"cd -- {quote(job.directory)} || exit 3"
    elif where != "$PWD":
        yield f'cd -- "{where}" || exit 3'


def _limit(job: Job) -> list[str]:
    """Have the run stop by its own clock, where no signal comes before the end.

    It asks the scheduler, too, whose commands not every node has.
    """
    if job.resume and not described(job.scheduler).script.resubmits:
        return []
    return ["--time-limit", hours(job.seconds - job.noticed)]


def _share(job: Job) -> Iterator[str]:
    if job.array is None:
        return
    yield f"shares={job.array} # as many as the array above has tasks"
    yield f"share={described(job.scheduler).script.share}"
    yield 'database="$database.parts/$share.db" # one for each task'
    if "--" in job.options:  # what follows that is for the script
        yield 'options=(--share "$share/$shares" "${options[@]}")'
    else:
        yield 'options+=(--share "$share/$shares")'


def _chain(job: Job) -> Iterator[str]:
    if not job.resume:
        return
    words = described(job.scheduler).script
    yield f"logs={quote(job.logs)}"
    yield 'mkdir -p -- "$logs" || exit 3'
    yield f'chain="{words.chain}"'
    yield f"max_runs={job.max_runs or MOST_RUNS} # no job goes on for ever"
    if words.submits_file:
        file = "resume.sh" if job.file is None else quote(job.file)
        yield f"job_script={file} # this file, seen from where it is submitted"
        yield SUCCESSOR.strip()


def surroundings(job: Job, *, runs: bool = True) -> str:
    """Return the paragraph that says with which Python, modules and threads.

    What concerns the launcher is left out if nothing ``runs``.
    """
    python = _PYTHON if job.python is None else quote(job.python)
    cores = job.cpus_per_rank
    others = " ".join(f"{name}={cores}" for name in thread_variables.ALSO_COMMON)
    lines = [
        _WITH,
        *_setup(job),
        f"python={python}",
        'PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first',
        f"export OMP_NUM_THREADS={cores} # as many threads as a rank has cores; also:",
        f"#export {others}",
        *(described(job.scheduler).script.exports(job) if runs else ()),
        "#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant",
        *_needed(job),
    ]
    return "\n".join(lines)


def _setup(job: Job) -> Iterator[str]:
    """Load what the run needs, or end: it would start with another Python or MPI."""
    if not job.setup:
        yield "#module load ... || exit 3"
        return
    yield "failed() { # a line of --setup"
    yield '    echo "job script: this line of --setup failed: $1"'
    yield "    exit 3"
    yield "}"
    for line in job.setup:
        yield f"{{ {line}"  # which may end in a comment
        yield f"}} || failed {quote(line)}"


def _needed(job: Job) -> Iterator[str]:
    """Look for what will run the job again before the first of its runs, not after."""
    commands = described(job.scheduler).script.needs
    if not job.resume or not commands:
        return
    yield f"for needed in {' '.join(commands)}; do # or this job could not run again"
    yield '    command -v "$needed" >/dev/null && continue'
    yield '    echo "job script: there is no $needed on $HOSTNAME, so the job could" \\'
    yield '        "not run again: put its folder on PATH, or leave --resume out"'
    yield "    exit 3"
    yield "done"
