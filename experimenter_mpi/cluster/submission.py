"""Submit a job's scripts, note what was submitted, and give a handle to it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from glob import glob
from shlex import quote
from typing import TYPE_CHECKING, Any

from ..errors import JobScriptError
from ..output import say
from . import job_records
from .commands import asked
from .durations import seconds
from .job_records import JobRecord
from .schedulers import described
from .states import ENDED, QUEUED, RUNNING, states
from .submitting import submit as submit_file
from .write import asked_job, files_of, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from .job import Job

POLL_SECONDS = 10.0


def submit(
    scheduler: str,
    script: str | PathLike[str],
    *,
    time: str | float,
    force: bool = False,
    **asked: Any,
) -> SubmittedJob:
    """Write the script of a job that runs ``script``, and submit it.

    ``time`` is the walltime: seconds, or text such as "2:00:00". ``asked`` are the
    other arguments of ``cluster.job.Job``: ranks, nodes, resume, array, database,
    options, ... Unless told otherwise the job works in the current folder, with this
    Python and the MPI whose mpiexec is beside it or on the path.

    Raises:
        JobScriptError: there is no such job or scheduler, the scheduler refuses it, or
            another file is there and ``force`` does not say to replace it.
    """
    given = {"script": script, "seconds": _whole(time), "directory": os.getcwd()}
    job = asked_job(scheduler, {**given, **asked})
    if not os.path.isfile(job.script):
        msg = f"no such script: {job.script}"
        raise JobScriptError(msg)
    submitted: list[JobRecord] = []
    try:
        submitted.extend(submit_all(job, force=force))
    except JobScriptError as error:
        if submitted:
            first = SubmittedJob(job.database, submitted)
            msg = (
                f"{error}; submitted before: {first.job_id}, end it by {_ending(first)}"
            )
            raise JobScriptError(msg) from error
        raise
    return SubmittedJob(job.database, submitted)


def _ending(job: SubmittedJob) -> str:
    return f"'experimenter-mpi jobs cancel {quote(job.database)}'"


def _whole(time: str | float) -> int:
    try:
        return round(seconds(time) if isinstance(time, str) else time)
    except (ValueError, OverflowError):
        msg = f"time is {time!r}; it must be a duration such as '2:00:00', or seconds"
        raise JobScriptError(msg) from None


def submit_all(job: Job, *, force: bool = False) -> Iterator[JobRecord]:
    """Write a job's files, submit them, and yield each job that was submitted.

    Nothing that was refused leaves a file behind, so that the corrected job can be
    written to the same one.
    """
    job = replace(job, file=job.file or job.default_file)
    fresh = [file for file in files_of(job) if not os.path.lexists(file)]
    files = write(job, force=force)
    numbers: list[str] = []
    try:
        for file, share, after in _submissions(job, files, numbers):
            number = submit_file(job.scheduler, file, after=after, share=share)
            numbers.append(number)
            record = _recorded(job, number, is_merge=file != files[0])
            _note(job, record)
            yield record
    except JobScriptError:
        for file in fresh if not numbers else ():
            with suppress(OSError):
                os.remove(file)
        raise


def _submissions(
    job: Job, files: list[str], numbers: list[str]
) -> Iterator[tuple[str, int | None, list[str]]]:
    """Yield each file to submit, the share it takes, and the jobs it waits for.

    ``numbers`` are those of the jobs so far.
    """
    script, *follower = files
    shares: list[int | None] = [None]
    if job.array is not None and described(job.scheduler).commands.submits_tasks:
        shares = list(range(1, job.array + 1))
    for share in shares:
        yield script, share, list(job.depends_on)
    for file in follower:
        yield file, None, list(numbers)


def _note(job: Job, record: JobRecord) -> None:
    """Note it beside the database; that it was submitted is so all the same."""
    try:
        job_records.add(job.database, [record])
    except OSError as error:
        path = job_records.file_of(job.database)
        say(
            f"experimenter_mpi: cannot write {path}: {error.strerror}; 'jobs' will not "
            f"know job {record.job}"
        )


def _recorded(job: Job, number: str, *, is_merge: bool) -> JobRecord:
    from .render import merging

    this = merging(job) if is_merge else job
    log = described(job.scheduler).commands.log(this, number)
    return JobRecord(job.scheduler, number, this.called, os.path.abspath(log))


class SubmittedJob:
    """A job that was submitted for a database, with all that belongs to it.

    An array consists of its tasks and the job that merges; a chain of runs, of the jobs
    that were submitted one after the other.

    Args:
        database: The path of the database.
        submitted: Its jobs.
    """

    def __init__(self, database: str, submitted: list[JobRecord]) -> None:
        self.database = os.path.abspath(database)
        self._submitted = submitted

    @property
    def job_id(self) -> str:
        """The number of the job that was submitted first."""
        return self._submitted[0].job

    def __repr__(self) -> str:
        scheduler = self._submitted[0].scheduler
        return f"SubmittedJob({scheduler!r}, {self.job_id!r}, {self.database!r})"

    def records(self) -> list[JobRecord]:
        """Return its jobs, with their logs, and with those that a chain added since."""
        found = list(self._submitted)
        known = {record.job for record in found}
        for record in job_records.read(self.database):
            if record.after in known and record.job not in known:
                found.append(record)
                known.add(record.job)
        return found

    def state(self) -> str:
        """Return "queued", "running" or "ended"."""
        told = set(_states(self.records()).values())
        return next((each for each in (RUNNING, QUEUED) if each in told), ENDED)

    def wait(self, timeout: float | None = None, poll: float = POLL_SECONDS) -> bool:
        """Wait until it has ended, asking every ``poll`` seconds; whether it has.

        With ``timeout`` seconds it waits no longer than that.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self.state() != ENDED:
            left = poll if end is None else min(poll, end - time.monotonic())
            if left <= 0:
                return False
            time.sleep(left)
        return True

    def cancel(self) -> None:
        """Have the scheduler end what has not ended."""
        cancel(self.records())

    def log(self) -> str:
        """Return what its jobs have printed so far."""
        return "".join(_text(path) for path in self._logs())

    def _logs(self) -> Iterator[str]:
        for record in self.records():
            if os.path.exists(record.log):
                yield record.log
            elif "*" in record.log:  # of each task of an array; brackets mean nothing
                yield from sorted(glob(record.log.replace("[", "[[]")))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _states(jobs: list[JobRecord]) -> dict[str, str]:
    """Return the state of each job, by its number."""
    found: dict[str, str] = {}
    for scheduler in dict.fromkeys(record.scheduler for record in jobs):
        found |= states(scheduler, [r.job for r in jobs if r.scheduler == scheduler])
    return found


def cancel(jobs: list[JobRecord]) -> list[JobRecord]:
    """Have their scheduler end the jobs that have not ended, and return those."""
    told = _states(jobs)
    left = [record for record in jobs if told[record.job] != ENDED]
    for scheduler in dict.fromkeys(record.scheduler for record in left):
        words = described(scheduler).commands.cancel.split()
        asked([*words, *(r.job for r in left if r.scheduler == scheduler)])
    return left
