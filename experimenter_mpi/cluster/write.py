"""Write job scripts to files, with the folder that their logs go to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import JobScriptError
from ..output import say
from .installed import library_installed
from .job import Job
from .render import merge_file, render, render_merge

if TYPE_CHECKING:
    from os import PathLike


def create_slurm_template(
    file: str | PathLike[str],
    job_logs_dir: str | PathLike[str] = "hpc/logs",
    **asked: Any,
) -> list[str]:
    """Write a Slurm job script that runs as it is, and make the folder of its logs.

    ``asked`` are the arguments of ``cluster.job.Job``: script, ranks, seconds, resume,
    array, ... Unless told otherwise the script uses this Python, and the MPI whose
    mpiexec is beside it or on the path. Returns the paths of what was written: of an
    array also the job that merges, to be submitted after it. ``force=True`` replaces
    another file that is there.

    Raises:
        JobScriptError: no such job can be written, or there is another file already.
    """
    return _create("slurm", file, job_logs_dir, asked)


def create_pbs_template(
    file: str | PathLike[str],
    job_logs_dir: str | PathLike[str] = "hpc/logs",
    **asked: Any,
) -> list[str]:
    """Write a job script for OpenPBS or PBS Pro, as ``create_slurm_template`` does."""
    return _create("pbs", file, job_logs_dir, asked)


def create_sge_template(
    file: str | PathLike[str],
    job_logs_dir: str | PathLike[str] = "hpc/logs",
    **asked: Any,
) -> list[str]:
    """Write a job script for Grid Engine, as ``create_slurm_template`` does."""
    return _create("sge", file, job_logs_dir, asked)


def create_lsf_template(
    file: str | PathLike[str],
    job_logs_dir: str | PathLike[str] = "hpc/logs",
    **asked: Any,
) -> list[str]:
    """Write a job script for LSF, as ``create_slurm_template`` does."""
    return _create("lsf", file, job_logs_dir, asked)


def create_flux_template(
    file: str | PathLike[str],
    job_logs_dir: str | PathLike[str] = "hpc/logs",
    **asked: Any,
) -> list[str]:
    """Write a job script for Flux, as ``create_slurm_template`` does."""
    return _create("flux", file, job_logs_dir, asked)


def _create(
    scheduler: str,
    file: str | PathLike[str],
    logs: str | PathLike[str],
    asked: dict[str, Any],
) -> list[str]:
    chosen = {"file": file, "logs": logs, **asked}
    force = bool(chosen.pop("force", False))
    return write(asked_job(scheduler, chosen), force=force)


def asked_job(scheduler: str, asked: dict[str, Any]) -> Job:
    """Return the job that was asked for, by default with this Python and its MPI.

    Raises:
        JobScriptError: there is no such job.
    """
    chosen = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in {"python": sys.executable, **asked}.items()
    }
    if "library" not in chosen and chosen["python"] is not None:
        found = library_installed(chosen["python"])
        chosen |= {} if found is None else {"library": found}
    return Job(scheduler=scheduler, **chosen)


def files_of(job: Job) -> list[str]:
    """Return the names of a job's files: of an array also that of the job that merges.

    Raises:
        JobScriptError: it has none.
    """
    if job.file is None:
        msg = "a job script needs a file name"
        raise JobScriptError(msg)
    return [job.file] if job.array is None else [job.file, merge_file(job.file)]


def write(job: Job, *, force: bool = False) -> list[str]:
    """Write a job's script to its ``file``, and give the paths of what was written.

    Raises:
        JobScriptError: another file is there and is not to be replaced by ``force``,
            or nothing can be written there.
    """
    kinds = (render, render_merge)
    texts = {file: kind(job) for file, kind in zip(files_of(job), kinds, strict=False)}
    for path, text in texts.items():
        if not force and _is_other(path, text):
            msg = (
                f"{path} exists and is different; choose another file, or use --force "
                "(force=True)"
            )
            raise JobScriptError(msg)
    try:
        os.makedirs(job.logs, exist_ok=True)
        for path, text in texts.items():
            _put(path, text)
    except OSError as error:
        msg = f"cannot write {error.filename or job.file}: {error.strerror}"
        raise JobScriptError(msg) from error
    if left := parts_left_over(job):
        say(
            f"experimenter_mpi: {', '.join(left)} in {job.database}.parts are left "
            f"over from an array with more than {job.array} tasks: their trials run "
            "again, as each task has its own part, and the merge takes both"
        )
    return list(texts)


def parts_left_over(job: Job) -> list[str]:
    """Return the names of the parts that belong to no task of an array."""
    if job.array is None:
        return []
    folder = os.path.join(job.directory or ".", f"{job.database}.parts")
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if name.endswith(".db")]
        own = {f"{number}.db" for number in range(1, job.array + 1)}
        return sorted(set(names) - own, key=lambda name: (len(name), name))
    return []


def _is_other(path: str, text: str) -> bool:
    """Whether a file stands there that holds anything but this text."""
    with suppress(FileNotFoundError):
        try:
            with open(path, encoding="utf-8") as file:
                return file.read() != text
        except (IsADirectoryError, PermissionError, UnicodeError):
            return True
    return False


def _put(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, os.stat(path).st_mode | 0o100)
