"""``run SCRIPT``: every experiment of a script, on this process or on all ranks."""

from __future__ import annotations

import os
import time
from shlex import quote
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from ..errors import TrialError
from ..exit_codes import EXIT_FAILED_TRIALS, EXIT_FINISHED
from ..experiment.share import as_share
from ..modes import SerialMode
from ..modes.distributed import DistributedMode, HeterogeneousMode
from ..modes.mpi import MPIMode
from ..modes.multithreaded import MultithreadedMode
from ..mpi import launch
from ..program import program
from ..run.summary import Options
from ..trial import script as scripts
from ..trial.functions import find_functions, working_in
from .choosing import load_experiments, parsed, read_script
from .layout import hint, say
from .logs import begun
from .overwriting import confirm_overwriting, require_whole
from .run_options import check_mode, parser

if TYPE_CHECKING:
    from argparse import Namespace

    from ..database.handle import ExperimentDatabase
    from ..experiment.experiment import Experiment
    from ..run.summary import RunSummary
    from ..trial.script import Script

# Modes that use this process alone, also under mpirun.
_ONE_PROCESS = ("serial", "multithreaded")


def main(arguments: list[str]) -> int:
    made = parser()
    given = parsed(made, arguments)
    check_mode(made, given)
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
        extend=given.extend,
    )


def _print_next(summary: RunSummary, given: Namespace) -> None:
    if summary.exit_code == EXIT_FAILED_TRIALS:
        status = f"{program()} status {quote(given.db)} {quote(summary.name)}"
        hint("see what failed", status)
