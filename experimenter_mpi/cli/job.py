"""``job SCHEDULER SCRIPT``: a job script, ready to be submitted, or submitted."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cluster.installed import library_installed
from ..cluster.job import LONGEST_SECONDS, MOST_RUNS, Job, resubmits
from ..cluster.launch_lines import LIBRARIES
from ..cluster.render import JOB_NUMBER, render
from ..cluster.schedulers import SCHEDULERS
from ..cluster.submission import submit_all
from ..cluster.submitting import by_hand, following
from ..cluster.write import files_of, write
from ..errors import JobScriptError, printable
from . import run_options
from .arguments import Parser, count, seconds, verb_parser
from .choosing import parsed
from .databases import default_database

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..cluster.job_records import JobRecord

EXAMPLES = """
  experimenter-mpi job slurm exp.py --ranks 64 --time 2:00:00 > exp.sh
      a script to read, to edit and to submit
  experimenter-mpi job slurm exp.py --ranks 64 --time 2:00:00 --resume --submit
      submit it; when the walltime ends it runs again, until all is finished
  experimenter-mpi job sge exp.py --ranks 16 --pe orte --time 8:00:00 \\
      --array 10 --output sweep.sh
      ten tasks with a tenth of the trials each; sweep-merge.sh follows them
  experimenter-mpi job pbs exp.py --ranks 96 --nodes 2 --time 1-00:00:00 \\
      --setup 'module load cray-python' --isolate --trial-timeout 10:00
      options of `run` are passed on to it"""

NOTES = """Options of `run` (see its --help) are passed on to it; what follows -- is for
the script, as with `run`.

"""


def parser() -> Parser:
    made = verb_parser(
        "job",
        "Write a script that runs SCRIPT as a job of SCHEDULER, in this folder, with "
        "this Python: to standard output, or to a file. --submit submits it.",
        EXAMPLES,
        notes=NOTES,
    )
    # An option of `run` must not be taken for the beginning of one of these.
    made.allow_abbrev = False
    made.usage = "experimenter-mpi job SCHEDULER SCRIPT --time TIME [options]"
    add = made.add_argument
    names = _list(SCHEDULERS)
    add("scheduler", metavar="SCHEDULER", choices=SCHEDULERS, help=names)
    add("script", metavar="SCRIPT", help="a Python file with experiments")
    _add_size(add)
    _add_kind(add)
    _add_site(add)
    _add_output(add)
    return made


def _list(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _add_size(add: Callable[..., object]) -> None:
    add(
        "--time",
        metavar="TIME",
        type=seconds,
        required=True,
        help="the walltime: seconds, MM:SS, HH:MM:SS, D-HH:MM:SS",
    )
    add(
        "--ranks",
        metavar="N",
        type=count,
        default=64,
        help="number of ranks (default: %(default)s)",
    )
    add(
        "--nodes",
        metavar="N",
        type=count,
        help="number of nodes to spread the ranks over",
    )
    add(
        "--cpus-per-rank",
        metavar="N",
        type=count,
        default=1,
        help="number of cores for each rank (default: %(default)s)",
    )
    add("--memory", metavar="SIZE", help="memory for each rank, such as 500M or 4G")
    add("--gpus-per-rank", metavar="N", type=count, help="number of GPUs for each rank")
    add("--exclusive", action="store_true", help="do not share nodes with other jobs")


def _add_kind(add: Callable[..., object]) -> None:
    add(
        "--resume",
        action="store_true",
        help="run again after each walltime, until all trials are finished",
    )
    add(
        "--max-runs",
        metavar="N",
        type=count,
        help=f"maximum number of runs with --resume (default: {MOST_RUNS})",
    )
    add(
        "--notice",
        metavar="TIME",
        type=seconds,
        help="how long before its end the job gets a signal (default: two minutes)",
    )
    add(
        "--array",
        metavar="N",
        type=count,
        help="N tasks, each with a share of the trials, and a job that merges the "
        "results",
    )
    add(
        "--array-limit",
        metavar="N",
        type=count,
        help="maximum number of tasks that run at once",
    )
    add(
        "--fault-tolerant",
        action="store_true",
        help="continue when ranks die (Open MPI only)",
    )


def _add_site(add: Callable[..., object]) -> None:
    add("--db", metavar="PATH", default=default_database(), help="as for `run`")
    add("--name", metavar="NAME", help="name of the job (default: name of the script)")
    add("--queue", metavar="NAME", help="queue or partition")
    add("--account", metavar="NAME", help="account, project or bank")
    add("--pe", metavar="NAME", help="Grid Engine: parallel environment (default: mpi)")
    add("--mail", metavar="ADDRESS", help="address for mail when the job has ended")
    add(
        "--depends-on",
        metavar="JOB",
        action="append",
        default=[],
        help="start after this job has ended, however it ended; may be repeated",
    )
    add(
        "--directive",
        metavar="TEXT",
        action="append",
        default=[],
        help="a further option for the scheduler, such as --directive=--exclusive",
    )
    add(
        "--setup",
        metavar="LINE",
        action="append",
        default=[],
        help="a shell line to run first, such as 'module load mpich'; the job ends if "
        "it fails",
    )
    add("--mpi", metavar="MPI", choices=LIBRARIES, help=f"{_list(LIBRARIES)}")
    add("--launcher", metavar="NAME", help="mpiexec, srun or 'flux run'")
    add(
        "--python",
        metavar="PATH",
        default=sys.executable,
        help="the Python that runs the job (default: this one)",
    )
    add(
        "--logs",
        metavar="DIR",
        default="hpc/logs",
        help="folder for logs (default: %(default)s)",
    )


def _add_output(add: Callable[..., object]) -> None:
    add("--output", metavar="FILE", help="write the script to this file")
    add("--force", action="store_true", help="overwrite an existing file")
    add(
        "--submit",
        action="store_true",
        help="submit the job, and print how to follow it",
    )


def main(arguments: list[str]) -> int:
    made = parser()
    given, options = _split(made, arguments)
    if not os.path.isfile(given.script):
        msg = f"no such script: {given.script}"
        raise JobScriptError(msg)
    if os.path.isdir(os.path.abspath(given.db)):  # which makes this folder of ""
        msg = f"--db '{given.db}' is a folder: give the name of a database file in it"
        raise JobScriptError(msg)
    job = _job(given, options)
    if given.submit or given.output:
        _write(job, given)
    else:
        print(render(job), end="")
        if job.array is not None:
            _tell("this is only the array: use --output to get the merge job as well")
        if job.resume and resubmits(job.scheduler):
            _tell("save it as resume.sh, which it submits again, or use --output")
    return 0


def _split(made: Parser, arguments: list[str]) -> tuple[Namespace, list[str]]:
    """Part the options of this verb from those of `run`, which are checked there."""
    before, after = arguments, []
    if "--" in arguments:
        place = arguments.index("--")
        before, after = arguments[:place], arguments[place + 1 :]
    given, options = made.parse_known_args(before)
    options += ["--", *after] if after else []
    checked = run_options.parser()
    checked.prog = made.prog  # whose help names its own options and those of `run`
    parsed(checked, [given.script, *options])
    return given, options


def _job(given: Namespace, options: list[str]) -> Job:
    library = given.mpi or _library(given)
    return Job(
        scheduler=given.scheduler,
        script=given.script,
        database=given.db,
        options=tuple(options),
        ranks=given.ranks,
        nodes=given.nodes,
        cpus_per_rank=given.cpus_per_rank,
        seconds=_whole(given.time),
        name=given.name,
        queue=given.queue,
        account=given.account,
        parallel_environment=given.pe,
        memory=given.memory,
        gpus_per_rank=given.gpus_per_rank,
        exclusive=given.exclusive,
        mail=given.mail,
        depends_on=tuple(given.depends_on),
        directives=tuple(given.directive),
        library=library,
        launcher=given.launcher,
        python=given.python,
        setup=tuple(given.setup),
        directory=os.getcwd(),
        logs=given.logs,
        resume=given.resume,
        max_runs=given.max_runs,
        notice=None if given.notice is None else _whole(given.notice),
        array=given.array,
        array_limit=given.array_limit,
        fault_tolerant=given.fault_tolerant,
        file=given.output,
    )


def _whole(seconds: float) -> int:
    """Return whole seconds; endless ones become more than any job may have."""
    return int(min(seconds, LONGEST_SECONDS + 1))


def _library(given: Namespace) -> str:
    found = library_installed(given.python)
    if found is None:
        msg = (
            "cannot tell which MPI this Python uses, as there is no mpiexec: load its "
            f"module first, or use --mpi {'|'.join(LIBRARIES)}"
        )
        raise JobScriptError(msg)
    return found


def _write(job: Job, given: Namespace) -> None:
    """Write the files, and submit them or say how."""
    if given.submit:
        _submit(job, force=given.force)
        return
    script, *follower = write(job, force=given.force)
    _tell(f"wrote {' and '.join([script, *follower])}")
    line = by_hand(job.scheduler, script, after=job.depends_on, shares=job.array)
    _tell(f"submit it: {line}")
    for file in follower:
        after = by_hand(job.scheduler, file, after=[JOB_NUMBER])
        _tell(f"then, with its job number: {after}")


def _submit(job: Job, *, force: bool) -> None:
    job = replace(job, file=job.file or job.default_file)
    submitted: list[JobRecord] = []
    try:
        for record in submit_all(job, force=force):
            if not submitted:
                _tell(f"wrote {' and '.join(files_of(job))}")
            print(record.job, flush=True)
            submitted.append(record)
    finally:  # what was submitted runs, also if what should follow it was refused
        for what, command in following(job.scheduler, [r.job for r in submitted]):
            _tell(f"{what}: {command}")
        for record in submitted:
            _tell(f"its output: {os.path.relpath(record.log)}")


def _tell(text: str) -> None:
    """Print to stderr what is not part of the script or of the job's number."""
    print(printable(text), file=sys.stderr)
