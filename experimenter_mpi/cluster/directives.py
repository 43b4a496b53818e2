"""The first lines of a job script, which its scheduler reads: one function for each.

A line is a pair: an option, or one that the reader may want, which is commented out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .job import Job


def head(job: Job) -> list[str]:
    """Give the lines of directives, those that are only proposed commented out."""
    sign = _SIGNS[job.scheduler]
    asked = [f"{sign} {option}" for option in _OPTIONS[job.scheduler](job)]
    asked += [f"{sign} {option}" for option in job.directives]
    proposed = [
        _commented(job.scheduler, option)
        for name, option in _PROPOSED[job.scheduler]
        if name is None or getattr(job, name) is None
    ]
    return asked + proposed


def name_of(scheduler: str) -> str:
    """Name a scheduler as people do."""
    return _NAMES[scheduler]


def sign_of(scheduler: str) -> str:
    """Give what a scheduler's directives begin with."""
    return _SIGNS[scheduler]


_NAMES = {
    "slurm": "Slurm",
    "pbs": "PBS",
    "sge": "Grid Engine",
    "lsf": "LSF",
    "flux": "Flux",
}
_SIGNS = {
    "slurm": "#SBATCH",
    "pbs": "#PBS",
    "sge": "#$",
    "lsf": "#BSUB",
    "flux": "# flux:",
}


def _commented(scheduler: str, option: str) -> str:
    sign = _SIGNS[scheduler]
    # Flux wants every line of the block to begin with the same sign.
    return f"{sign} # {option}" if scheduler == "flux" else f"#{sign} {option}"


def hours(seconds: int) -> str:
    """Write a duration as HH:MM:SS, which every scheduler but LSF and Flux reads."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def minutes(seconds: int) -> int:
    """Give whole minutes, rounded up."""
    return -(-seconds // 60)


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


# --- Slurm


def _slurm(job: Job) -> Iterator[str]:
    yield f"--job-name={job.called}"
    yield from _slurm_size(job)
    yield f"--time={hours(job.seconds)}"
    number = "%j" if job.array is None else "%A_%a"
    yield f"--output={_quoted(f'{job.logs}/%x-{number}.out')}"
    if job.queue is not None:
        yield f"--partition={job.queue}"
    if job.account is not None:
        yield f"--account={job.account}"
    if job.array is not None:
        yield f"--array=1-{job.array}"
    if job.resume:
        # B: since only the script below knows whom to tell. Slurm may be early by 60 s.
        yield f"--signal=B:USR1@{job.noticed}"
        yield "--requeue"
        yield "--open-mode=append"


def _slurm_size(job: Job) -> Iterator[str]:
    if job.nodes is not None:
        yield f"--nodes={job.nodes}"
    yield f"--ntasks={job.ranks}"
    if job.cpus_per_rank > 1:
        yield f"--cpus-per-task={job.cpus_per_rank}"


# --- PBS


def _pbs(job: Job) -> Iterator[str]:
    yield f"-N {job.called}"
    chunks = job.nodes or job.ranks
    each = job.ranks // chunks
    cpus = each * job.cpus_per_rank
    yield f"-l select={chunks}:ncpus={cpus}:mpiprocs={each}"
    yield f"-l place={'scatter' if job.nodes else 'free'}"
    yield f"-l walltime={hours(job.seconds)}"
    yield "-j oe"
    yield f"-o {_quoted(f'{job.logs}/')}"
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-A {job.account}"
    if job.array is not None:
        yield f"-J 1-{job.array}"
    if job.resume:
        # PBS must not start it again by itself: it is submitted again below.
        yield "-r n"


# --- Grid Engine


def _sge(job: Job) -> Iterator[str]:
    # Many sites do not heed the first line of a script.
    yield "-S /bin/bash"
    yield "-cwd"
    yield f"-N {job.called}"
    yield f"-pe {job.parallel_environment} {job.ranks * job.cpus_per_rank}"
    # No s_rt: with both, the last signal comes minutes after h_rt.
    yield f"-l h_rt={hours(job.seconds)}"
    yield "-j y"
    number = "$JOB_ID" if job.array is None else "$JOB_ID.$TASK_ID"
    yield f"-o {_quoted(f'{job.logs}/$JOB_NAME-{number}.out')}"
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-P {job.account}"
    if job.array is not None:
        yield f"-t 1-{job.array}"
    if job.resume:
        # SIGUSR2 comes before the end, by as much as the queue's `notify` says.
        yield "-notify"
        yield "-r y"


# --- LSF


def _lsf(job: Job) -> Iterator[str]:
    tasks = "" if job.array is None else f"[1-{job.array}]"
    yield f'-J "{job.called}{tasks}"'
    yield f"-n {job.ranks}"
    if job.nodes is not None:
        yield f'-R "span[ptile={job.ranks // job.nodes}]"'
    if job.cpus_per_rank > 1:
        yield f'-R "affinity[core({job.cpus_per_rank})]"'
    yield f"-W {minutes(job.seconds)}"
    number = "%J" if job.array is None else "%J.%I"
    yield f'-o "{job.logs}/{job.called}-{number}.out"'
    if job.queue is not None:
        yield f"-q {job.queue}"
    if job.account is not None:
        yield f"-P {job.account}"
    if job.resume:
        yield "-wa USR1"
        yield f"-wt {minutes(job.noticed)}"
        # Exit code 75 means: run again.
        yield '-Q "75"'


# --- Flux


def _flux(job: Job) -> Iterator[str]:
    yield f"--job-name={job.called}"
    if job.nodes is not None:
        yield f"--nodes={job.nodes}"
    yield f"--nslots={job.ranks}"
    if job.cpus_per_rank > 1:
        yield f"--cores-per-slot={job.cpus_per_rank}"
    yield f"--time-limit={minutes(job.seconds)}m"
    yield f"--output={_quoted(f'{job.logs}/{job.called}-{{{{id}}}}.out')}"
    if job.queue is not None:
        yield f"--queue={job.queue}"
    if job.account is not None:
        yield f"--bank={job.account}"
    if job.resume:
        yield f"--signal=USR1@{job.noticed}s"


_OPTIONS: dict[str, Callable[[Job], Iterator[str]]] = {
    "slurm": _slurm,
    "pbs": _pbs,
    "sge": _sge,
    "lsf": _lsf,
    "flux": _flux,
}
# What many sites want besides: which value of a job makes it needless, and the line.
_PROPOSED: dict[str, list[tuple[str | None, str]]] = {
    "slurm": [
        ("queue", "--partition=NAME"),
        ("account", "--account=NAME"),
        (None, "--mem-per-cpu=2G"),
    ],
    "pbs": [("queue", "-q NAME"), ("account", "-A NAME")],
    "sge": [("queue", "-q NAME"), ("account", "-P NAME"), (None, "-l h_vmem=2G")],
    "lsf": [
        ("queue", "-q NAME"),
        ("account", "-P NAME"),
        (None, '-R "rusage[mem=2GB]"'),
    ],
    "flux": [("queue", "--queue=NAME"), ("account", "--bank=NAME")],
}
