"""``jobs DB`` and ``jobs cancel DB``: what was submitted for a database."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from ..cluster import job_records
from ..cluster.states import states
from ..cluster.submission import cancel
from ..errors import JobScriptError, NotFoundError, counted, printable
from .arguments import add_json, verb_parser
from .table import print_table

if TYPE_CHECKING:
    from ..cluster.job_records import JobRecord

EXAMPLES = """
  experimenter-mpi jobs experiments/experiments.db
      each job that was submitted for it: queued, running or ended, and its log
  experimenter-mpi jobs cancel experiments/experiments.db
      end those that have not ended; what is finished or saved is kept
  experimenter-mpi jobs cancel experiments/experiments.db 17
      only this one"""
USAGE = """experimenter-mpi jobs DB [--json]
       experimenter-mpi jobs cancel DB [JOB ...]"""
UNKNOWN = "unknown"
# The end of a log, which may be long.
LOOKED_AT_BYTES = 65_536


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["cancel"]:
        return _cancel(arguments[1:])
    parser = verb_parser(
        "jobs",
        "List the jobs that `job --submit` and cluster.submit have submitted for a "
        "database. 'jobs cancel DB' ends them.",
        EXAMPLES,
    )
    parser.usage = USAGE
    parser.add_argument("database", metavar="DB")
    add_json(parser)
    given = parser.parse_args(arguments)
    known = _known(given.database)
    told = _states(known)
    rows = [
        {**record._asdict(), "state": told[record.job], "said": _said(record.log)}
        for record in known
    ]
    if given.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        shown = [
            [r["job"], r["name"], r["state"], _near(r["log"]), r["said"]] for r in rows
        ]
        print_table(("job", "name", "state", "log", "said"), shown)
    return 0


def _known(database: str) -> list[JobRecord]:
    """Return the jobs of a database, which need not be there before the first runs."""
    known = job_records.read(database)
    if not known and not os.path.exists(database):
        msg = (
            f"no such database: {database}, and no job was submitted for it; check the "
            "name, or submit one with 'job SCHEDULER SCRIPT --submit'"
        )
        raise NotFoundError(msg)
    if not known:
        print(f"no job was submitted for {printable(database)}", file=sys.stderr)
    return known


def _states(known: list[JobRecord]) -> dict[str, str]:
    """Return each job's state, "unknown" where its scheduler cannot be asked."""
    told = {record.job: UNKNOWN for record in known}
    for scheduler in dict.fromkeys(record.scheduler for record in known):
        jobs = [record.job for record in known if record.scheduler == scheduler]
        try:
            told |= states(scheduler, jobs)
        except JobScriptError as error:
            print(f"experimenter_mpi: {printable(str(error))}", file=sys.stderr)
    return told


def _said(log: str) -> str:
    """Return what a job's script said last in its log, such as why a chain ended."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOOKED_AT_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:  # it has not begun, or this is the log of each task of an array
        return ""
    sign = "job script: "
    found = [line.removeprefix(sign) for line in lines if line.startswith(sign)]
    return found[-1] if found else ""


def _near(path: str) -> str:
    """Return a path as seen from here, if that is shorter."""
    return min(path, os.path.relpath(path), key=len)


def _cancel(arguments: list[str]) -> int:
    parser = verb_parser(
        "jobs cancel",
        "Cancel the jobs of a database that have not ended, or only the named ones.",
        EXAMPLES,
    )
    parser.add_argument("database", metavar="DB")
    parser.add_argument("jobs", metavar="JOB", nargs="*")
    given = parser.parse_args(arguments)
    known = _known(given.database)
    for job in given.jobs:
        if job not in [record.job for record in known]:
            msg = f"no job {job} was submitted for {given.database}; 'jobs' lists them"
            raise NotFoundError(msg)
    left = cancel([r for r in known if not given.jobs or r.job in given.jobs])
    print(f"cancelled {counted(len(left), 'job')}")
    return 0
