"""What a job script is to ask for, checked: nothing here knows how it is written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import JobScriptError
from .job_resources import megabytes, wrong_resources
from .launch_lines import LIBRARIES
from .schedulers import SCHEDULERS, described

if TYPE_CHECKING:
    from collections.abc import Iterable

# What every scheduler takes as it is, within one word of a directive.
_WORD = re.compile(r"[\w.:@,+=/-]+")
# Quoted in a directive: spaces too, but nothing that a scheduler expands or unquotes.
_PATH = re.compile(r"[\w.:@,+=/~ -]+")
# Schedulers count in minutes, or check only twice a minute.
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 10 * 366 * 86_400
# A run of a chain that dies without a word must not be repeated for ever.
MOST_RUNS = 20
# Twice the minute that running trials have unless --grace says otherwise.
NOTICE_SECONDS = 120
# No notice takes more than this part of the time.
_LARGEST_PART = 3


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that runs one script of experiments; raises JobScriptError if it cannot be.

    Args:
        scheduler: slurm, pbs, sge, lsf or flux.
        seconds: The walltime.
        python: Its path; None for the one that the script's reader puts there.
        directory: Where the job works; None for where it is submitted.
        launcher: mpiexec, srun or "flux run"; None for the surest.
        parallel_environment: Grid Engine's word for a way to place ranks; None for
            ``mpi``.
        memory: How much a rank needs, such as "4G".
        exclusive: Share no node with other jobs.
        mail: The address that is told when the job has ended.
        depends_on: Numbers of jobs that must have ended before.
        directives: More of the scheduler's own options, each a line.
        setup: Lines of shell, such as "module load mpich", run before all else.
        resume: Run again after each walltime, ``max_runs`` times at most, with a
            signal ``notice`` seconds before the end.
        array: How many tasks, each with a share of the trials and its own database.
        array_limit: How many of them may run at once.
        merges: How many tasks the array has whose databases the job merges.
        file: Where the script will stand, for a job that submits itself again.
    """

    scheduler: str
    script: str = "exp.py"
    database: str = "experiments/experiments.db"
    options: tuple[str, ...] = ()
    ranks: int = 64
    nodes: int | None = None
    cpus_per_rank: int = 1
    seconds: int = 7200
    name: str | None = None
    queue: str | None = None
    account: str | None = None
    parallel_environment: str | None = None
    memory: str | None = None
    gpus_per_rank: int | None = None
    exclusive: bool = False
    mail: str | None = None
    depends_on: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    library: str = "mpich"
    launcher: str | None = None
    python: str | None = None
    setup: tuple[str, ...] = ()
    directory: str | None = None
    logs: str = "hpc/logs"
    resume: bool = False
    max_runs: int | None = None
    notice: int | None = None
    array: int | None = None
    array_limit: int | None = None
    fault_tolerant: bool = False
    merges: int | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise JobScriptError(problem)

    @property
    def called(self) -> str:
        """The job's name: the script's, with what schedulers take in one."""
        stem = os.path.splitext(os.path.basename(self.script))[0]
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.name or stem).strip("-.")
        # Grid Engine and PBS take no digit in front.
        return plain if plain[:1].isalpha() else f"job-{plain}".rstrip("-")

    @property
    def noticed(self) -> int:
        """How many seconds before the end the job is told of it."""
        if self.notice is not None:
            return self.notice
        return min(NOTICE_SECONDS, self.seconds // _LARGEST_PART)

    def megabytes(self, parts: int = 1) -> int:
        """Return the memory that each of so many parts of a rank needs."""
        return -(-megabytes(self.memory or "") // parts)

    @property
    def default_file(self) -> str:
        """The name of its script where none is given: each kind of job has its own."""
        kinds = [
            kind
            for kind, chosen in (
                ("array", self.array is not None),
                ("resume", self.resume),
                ("fault-tolerant", self.fault_tolerant),
            )
            if chosen
        ]
        return f"{'-'.join([self.called, *kinds])}.{self.scheduler}.sh"

    @property
    def kind(self) -> str:
        """What the job is good for, in one word: the name of its file in jobs/."""
        if self.array is not None:
            return "array"
        if self.resume:
            return "resume"
        return "fault-tolerant" if self.fault_tolerant else "run"


def resubmits(scheduler: str) -> bool:
    """Whether a job that is to run once more submits its successor.

    The others are put back into the queue as they are, tasks of an array included.
    """
    return described(scheduler).script.resubmits


def _problems(job: Job) -> Iterable[str]:
    """Yield what is wrong with a job, the first things first."""
    if job.scheduler not in SCHEDULERS:
        yield (
            f"unknown scheduler '{job.scheduler}'; choose one of "
            f"{', '.join(SCHEDULERS)}"
        )
    if job.library not in LIBRARIES:
        yield (
            f"unknown MPI library '{job.library}'; choose one of {', '.join(LIBRARIES)}"
        )
    yield from _wrong_types(job)
    yield from _wrong_numbers(job)
    yield from _wrong_kinds(job)
    yield from _wrong_words(job)
    yield from wrong_resources(job)


_COUNTS = (
    "ranks",
    "nodes",
    "cpus_per_rank",
    "gpus_per_rank",
    "max_runs",
    "array",
    "array_limit",
)


def _wrong_types(job: Job) -> Iterable[str]:
    """Yield what would be written as it is, and be understood by no scheduler."""
    for name in (*_COUNTS, "seconds", "notice"):
        value = getattr(job, name)
        if value is not None and type(value) is not int:
            yield f"{_option(name)} is {value!r}; it must be a whole number"
    for name in ("options", "directives", "setup", "depends_on"):
        value = getattr(job, name)
        if isinstance(value, str) or not all(isinstance(each, str) for each in value):
            yield f"{name} is {value!r}; it must be a list of strings"


def _wrong_numbers(job: Job) -> Iterable[str]:
    for name in _COUNTS:
        value = getattr(job, name)
        if value is not None and value < 1:
            yield f"{_option(name)} is {value}; it must be 1 or more"
    if job.seconds < SHORTEST_SECONDS:
        yield f"a walltime of {job.seconds} s is too short: the minimum is a minute"
    if job.seconds > LONGEST_SECONDS:
        yield f"a walltime of {job.seconds} s is too long: the maximum is ten years"
    if not 0 < job.noticed < job.seconds:
        yield (
            f"--notice {job.noticed} s is not shorter than the walltime of "
            f"{job.seconds} s"
        )
    if job.nodes is not None and job.ranks % job.nodes:
        yield (
            f"{job.ranks} ranks cannot be spread evenly over {job.nodes} nodes; use "
            f"{-(-job.ranks // job.nodes) * job.nodes}"
        )


def _wrong_kinds(job: Job) -> Iterable[str]:
    if job.fault_tolerant and job.library != "openmpi":
        yield (
            f"{job.library} ends the job when a rank dies; only Open MPI can "
            "continue: use --mpi openmpi"
        )
    if job.resume and job.array is not None and resubmits(job.scheduler):
        yield (
            f"{job.scheduler} cannot requeue a single task of an array; omit "
            "--resume, and submit the same array until all trials are finished"
        )
    if job.nodes is not None and job.scheduler == "sge":
        yield (
            "Grid Engine places ranks by its parallel environment: omit --nodes, and "
            "choose one with --pe (qconf -spl lists them)"
        )
    end = job.options.index("--") if "--" in job.options else None
    options = job.options[:end]  # what follows is for the script
    if job.resume and any(word.startswith("--ov") for word in options):
        yield (
            "--overwrite would start from scratch at each run of a resuming job; run "
            "'experimenter-mpi reset' or 'delete' once instead"
        )
    asks = not any(word.startswith("--y") for word in options)
    if asks and any(word.startswith("--ov") for word in options):
        yield (
            "--overwrite asks before it deletes results, and a job cannot ask: add "
            "--yes"
        )
    if job.array is not None and any(word.startswith("--sh") for word in options):
        yield "--array sets the --share of each task; omit --share"

    if any(word == "--db" or word.startswith("--db=") for word in options):
        yield "the job itself needs to know the database: give --db to `job`"


def _wrong_words(job: Job) -> Iterable[str]:
    for name in ("queue", "account", "parallel_environment"):
        value = getattr(job, name)
        if value is not None and not _WORD.fullmatch(value):
            yield f"{_option(name)} {value!r} is not a name that schedulers accept"
    if not _PATH.fullmatch(job.logs):
        yield (
            f"the log folder {job.logs!r} is written into a directive: use only "
            "letters, digits, spaces and ._-/ "
        )
    for line in (*job.directives, *job.setup):
        if not line.isprintable():
            yield f"{line!r} must be one line"
    for path in (job.script, job.database, job.python, job.directory, job.file):
        if path is not None and not path.isprintable():
            yield f"{path!r} has characters that no job script should have"
    for word in job.options:
        if not word.isprintable():
            yield f"{word!r} has characters that no job script should have"


def _option(name: str) -> str:
    others = {"parallel_environment": "--pe", "seconds": "the walltime in seconds"}
    return others.get(name, f"--{name.replace('_', '-')}")
