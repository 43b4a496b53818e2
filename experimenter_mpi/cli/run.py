"""``run SCRIPT``: every experiment of a script, on this process or on all ranks."""

from __future__ import annotations

import os
import time
from argparse import ArgumentTypeError
from shlex import quote
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from ..errors import TrialError
from ..exit_codes import EXIT_FAILED_TRIALS, EXIT_FINISHED
from ..experiment.share import as_share, is_share
from ..modes import SerialMode
from ..modes.distributed import DistributedMode, HeterogeneousMode
from ..modes.mpi import MPIMode
from ..modes.multithreaded import MultithreadedMode
from ..mpi import launch
from ..program import program
from ..run.summary import Options
from ..trial import script as scripts
from ..trial.functions import find_functions, working_in
from .arguments import (
    EXIT_CODES,
    Parser,
    count,
    index_list,
    seconds,
    verb_parser,
)
from .choosing import load_experiments, parsed, read_script
from .databases import default_database
from .layout import hint, say
from .logs import add_log, begun
from .overwriting import add_what_is_kept, confirm_overwriting, require_whole

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..database.handle import ExperimentDatabase
    from ..experiment.experiment import Experiment
    from ..run.summary import RunSummary
    from ..trial.script import Script

EXAMPLES = """
  experimenter-mpi run exp.py
      run every unfinished trial here, one after the other
  mpirun -n 64 python -m experimenter_mpi run exp.py
      the same on 64 ranks: rank 0 coordinates, 63 work
  experimenter-mpi run exp.py --mode multithreaded --threads 8
      eight trials at a time, on threads of this process
  experimenter-mpi run exp.py --dry-run
      only print what would be run
  experimenter-mpi run exp.py -- --size 3
      the script finds --size 3 in sys.argv, on every rank
  mpirun -n 64 python -m experimenter_mpi run exp.py --time-limit 1:50:00
      start no new trial after 1 h 50 min and exit with 75; rerun to continue
  experimenter-mpi run exp.py --isolate --trial-timeout 10:00
      a trial that crashes, or takes longer than 10 min, fails alone
  experimenter-mpi run exp.py --share 2/8 --db share-2.db
      every eighth trial from the second; 'merge' combines the eight databases
  experimenter-mpi run exp.py --experiment heat --trial 17 --on-error raise
      one trial, with its own traceback"""


_ARGUMENTS = """What follows -- is passed to the script as sys.argv[1:], in every
process that loads it. SIGQUIT makes a rank print its stacks and its last
messages; the run continues."""


def parser() -> Parser:
    made = verb_parser(
        "run",
        "Run every Experiment that SCRIPT creates while it is loaded, in that order. "
        "Finished trials are skipped; failed ones are retried. Under mpirun the "
        "trials run on all ranks but rank 0.",
        EXAMPLES,
        notes=f"{_ARGUMENTS}\n\n{EXIT_CODES}\n\n",
    )
    _add_what(made.add_argument)
    _add_how(made.add_argument)
    _add_when_it_goes_wrong(made.add_argument)
    return made


def _add_what(add: Callable[..., object]) -> None:
    add("script", metavar="SCRIPT", nargs="?", help="a Python file with experiments")
    add("-m", metavar="MODULE", dest="module", help="a module instead of a file")
    add(
        "--db",
        metavar="PATH",
        default=default_database(),
        help="the database (default: $EXPERIMENTER_DB, else %(default)s)",
    )
    add(
        "--experiment",
        metavar="NAME",
        action="append",
        default=[],
        help="only the experiment of this name; may be repeated",
    )
    add(
        "--trial",
        metavar="INDEX",
        type=index_list,
        help="only these trials: 3, 0-4 or 1,5,7-9",
    )
    add("--share", metavar="K/N", type=_share, help=_SHARE_HELP)


def _add_how(add: Callable[..., object]) -> None:
    add(
        "--mode",
        metavar="MODE",
        choices=MODES,
        help=f"{', '.join(MODES[:-1])} or mpi (default: mpi if there are ranks, else "
        "serial)",
    )
    add(
        "--workers",
        metavar="N",
        type=count,
        help="number of workers, in the modes distributed and heterogeneous",
    )
    add(
        "--threads",
        metavar="N",
        type=count,
        help="threads (multithreaded), or threads on each worker (heterogeneous)",
    )
    add("--batch-size", metavar="N", type=_batch_size, default="auto", help=_BATCH_HELP)
    add("--directory", metavar="DIR", help="change to this folder first, on every rank")
    add_what_is_kept(add)
    add(
        "--keep-diff",
        action="store_true",
        help="keep how the code differs from the git commit: see 'runs --run'",
    )
    add(
        "--no-retry-failed",
        action="store_true",
        help="do not retry trials that failed before",
    )


def _add_when_it_goes_wrong(add: Callable[..., object]) -> None:
    add(
        "--on-error",
        choices=("record", "raise"),
        default="record",
        help="record a failed trial and continue (default), or stop the run",
    )
    add(
        "--time-limit",
        metavar="TIME",
        type=seconds,
        help="start no new trial after this: seconds, MM:SS, HH:MM:SS, D-HH:MM:SS",
    )
    add(
        "--grace",
        metavar="TIME",
        type=seconds,
        help="how long running trials may take to end when the run stops (default: a "
        "minute; a second after Ctrl-C)",
    )
    add(
        "--isolate",
        action="store_true",
        help="run trials in separate processes: a segfault, os._exit or an "
        "out-of-memory kill is then one failed trial",
    )
    add(
        "--trial-timeout",
        metavar="TIME",
        type=_timeout,
        help="a trial that takes longer counts as failed; it is killed with --isolate, "
        "and only reported without",
    )
    add(
        "--progress",
        choices=("auto", "bar", "log", "none"),
        default="auto",
        help="auto (default): a bar on a terminal if rich is installed, else lines",
    )
    add(
        "--allow-pickle",
        action="store_true",
        help="load pickled values; only for databases that you trust",
    )
    add_log(add)
    add("--dry-run", action="store_true", help="print what would be run, and stop")


MODES = ("serial", "multithreaded", "distributed", "heterogeneous", "mpi")
# Which modes each option means something to.
_ONE_PROCESS = ("serial", "multithreaded")
_WORKERS = ("distributed", "heterogeneous")
_THREADS = ("multithreaded", "heterogeneous")

_SHARE_HELP = (
    "run only the K-th of N disjoint shares of the trials; auto: the share of this "
    "task of a job array; auto/N: of an array with N tasks (from 0 under Slurm, PBS "
    "and Flux, from 1 under Grid Engine and LSF). Each share needs its own database"
)
_BATCH_HELP = "trials per message, or auto (default): chosen from their durations"


def _batch_size(text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        msg = f"'{text}' is not auto or a whole number of 1 or more"
        raise ArgumentTypeError(msg)
    return int(text)


def _share(text: str) -> str:
    if is_share(text):
        return text
    msg = f"'{text}' is not a share such as 2/8, auto or auto/8"
    raise ArgumentTypeError(msg)


def _timeout(text: str) -> float:
    if (given := seconds(text)) > 0:
        return given
    msg = "must be more than 0"
    raise ArgumentTypeError(msg)


def main(arguments: list[str]) -> int:
    made = parser()
    given = parsed(made, arguments)
    _check_mode(made, given)
    require_whole(made, given)
    if given.share is not None:
        given.share = as_share(given.share)
    given.log = begun(given)
    # One limit for all experiments of the script, from now on.
    limit = given.time_limit
    given.ends = None if limit is None else time.monotonic() + limit
    if given.mode in _ONE_PROCESS and launch.concerns_mpi():
        launch.set_place(0, 1)  # before the script may look at it
    if given.mode == "mpi" and not given.dry_run:
        launch.connect(even_alone=True)  # or say why not, in place of a serial run
    script = read_script(given)
    experiments = load_experiments(script, given.experiment)
    _check_functions(experiments, given.directory)
    if given.dry_run:
        from .dry_run import describe

        return describe(experiments, given)
    with _open(given) as database:
        confirm_overwriting(experiments, database, given)
        return _run_all(experiments, database, script, given)


def _check_functions(experiments: list[Experiment], directory: str | None) -> None:
    """Look up every function before a database is opened or created."""
    with working_in(directory):
        for experiment in experiments:
            find_functions(experiment, scripts.read_include(experiment))


def _open(given: Namespace) -> ExperimentDatabase:
    from ..database.handle import open_db

    folder, name = os.path.split(os.path.abspath(given.db))
    return open_db(name, folder, allow_pickle=given.allow_pickle)


def _run_all(
    experiments: list[Experiment],
    database: ExperimentDatabase,
    script: Script,
    given: Namespace,
) -> int:
    code = EXIT_FINISHED
    for experiment in experiments:
        summary = _run(experiment, database, script, given)
        say(str(summary))
        _print_next(summary, given)
        code = max(code, summary.exit_code)
        if summary.stopped is not None:
            break
    return code


def _run(
    experiment: Experiment,
    database: ExperimentDatabase,
    script: Script,
    given: Namespace,
) -> RunSummary:
    from ..run.execute import run_experiment

    directory = None if given.directory is None else os.path.abspath(given.directory)
    try:
        return run_experiment(
            experiment,
            database,
            _mode(given),
            _options(given),
            given.progress,
            directory,
            script,
        )
    except (SystemExit, BrokenPipeError) as error:
        # A trial's own, with --on-error raise: it must not be taken for the program's.
        msg = f"a trial of '{experiment.name}' raised {error!r}"
        raise TrialError(msg, traceback="".join(format_exception(error))) from error


def _check_mode(made: Parser, given: Namespace) -> None:
    """Refuse what the mode would silently ignore."""
    for option, modes in (("workers", _WORKERS), ("threads", _THREADS)):
        if getattr(given, option) is not None and given.mode not in modes:
            made.error(
                f"--{option} can only be used with --mode {' or --mode '.join(modes)}"
            )
    if given.mode == "heterogeneous" and given.threads is None:
        made.error("--mode heterogeneous needs --threads N, for each worker")


def _mode(given: Namespace) -> Any:
    match given.mode or ("mpi" if launch.concerns_mpi() else "serial"):
        case "mpi":
            return MPIMode(given.batch_size)
        case "multithreaded":
            return MultithreadedMode(given.threads)
        case "distributed":
            return DistributedMode(given.workers)
        case "heterogeneous":
            return HeterogeneousMode(given.threads, given.workers)
        case _:
            return SerialMode()


def _options(given: Namespace) -> Options:
    return Options(
        force_overwrite=given.overwrite,
        on_error=given.on_error,
        retry_failed=not given.no_retry_failed,
        time_limit=None if given.ends is None else given.ends - time.monotonic(),
        grace=given.grace,
        only=None if given.trial is None else frozenset(given.trial),
        isolate=given.isolate,
        trial_timeout=given.trial_timeout,
        share=given.share,
        keep_snapshots=given.keep_snapshots,
        keep_diff=given.keep_diff,
        log=given.log,
    )


def _print_next(summary: RunSummary, given: Namespace) -> None:
    if summary.exit_code == EXIT_FAILED_TRIALS:
        status = f"{program()} status {quote(given.db)} {quote(summary.name)}"
        hint("see what failed", status)
