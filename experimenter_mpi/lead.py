"""Rank 0's part of ``execute``: who runs the trials, and what workers are told."""

from __future__ import annotations

import os
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from . import output
from . import script as scripts
from .campaign import Crew, conduct
from .database.database import ExperimentDatabase
from .errors import (
    ConfigurationError,
    ExperimenterError,
    TrialTimeoutError,
    printable,
)
from .modes import SerialMode
from .modes.distributed import HeterogeneousMode
from .modes.mpi import MPIMode
from .modes.multithreaded import MultithreadedMode
from .mpi import launch
from .mpi import messages as m
from .mpi.job import Job, pack_if_possible
from .preparation import working_in
from .progress import Progress
from .remaking import main_of, script_of
from .summary import EXIT_FAILED_TRIALS, EXIT_STOPPED, EXIT_WRONG
from .terminal import is_interactive

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from .experiment import Experiment
    from .modes import Mode
    from .mpi.transport import Transport
    from .script import Script
    from .summary import Options, RunSummary
    from .sweep import Sweep

WAITING, WORKING, RELEASED = "waiting", "working", "released"


class Lead:
    """Rank 0 of one ``execute``; ``transport`` is None where it is the only rank."""

    def __init__(
        self,
        transport: Transport | None,
        mode: Mode,
        options: Options,
        use_progress: bool | str,
        directory: str | None,
        script: Script | None,
    ) -> None:
        self._transport = transport
        self._mode = mode
        self._options = options
        self._progress = Progress(use_progress)
        self._directory = directory
        self._script = script
        self._database: ExperimentDatabase | None = None
        self._workers = WAITING
        self._threads_busy = False

    def conduct(
        self, experiment: Experiment, database: ExperimentDatabase
    ) -> RunSummary:
        """Run the experiment; whatever happens, no worker is left waiting."""
        self._database = database
        try:
            _require_database(database)
            with output.safe(), working_in(self._directory):
                include = scripts.read_include(experiment)
                summary = conduct(
                    experiment,
                    database,
                    self._crew(experiment),
                    self._options,
                    self._progress,
                    include,
                )
        except BaseException as error:
            self._tell(error)
            raise
        self._dismiss(m.Dismiss(summary.packed()))
        return summary

    # --- who runs the trials

    def _crew(self, experiment: Experiment) -> Crew:
        mode, transport = self._mode, self._transport
        if isinstance(mode, HeterogeneousMode):
            return self._ranks(mode, experiment)
        if isinstance(mode, MPIMode) and transport is not None:
            return self._crew_of(_counted(transport.size, "rank"), self._lead)
        if isinstance(mode, MPIMode):
            self._progress.note("there is one rank only: running serially")
            mode = SerialMode()
        if transport is not None:
            name = type(mode).__name__
            self._progress.note(
                f"{name} uses 1 of {transport.size} ranks; MPIMode() uses them all"
            )
            launch.set_place(0, 1)
        if isinstance(mode, MultithreadedMode):
            where = _counted(mode.threads, "thread")
            name, run = type(mode).__name__, self._on_threads(mode)
            return Crew(name, 1, self._library, run, where, may_be_left=True)
        run = self._run_serially
        mode_name, size = "SerialMode", self._size
        return Crew(mode_name, size, self._library, run, "1 rank", may_be_left=True)

    def _crew_of(self, where: str, lead: Callable[[Sweep], None]) -> Crew:
        name = type(self._mode).__name__
        threads = os.environ.get("OMP_NUM_THREADS")
        # Said since it may have been set by mpi.launch, and explains a slow trial.
        where += "" if threads is None else f" (OMP_NUM_THREADS={threads})"
        return Crew(name, self._size, self._library, lead, where)

    @property
    def _size(self) -> int:
        return 1 if self._transport is None else self._transport.size

    @property
    def _library(self) -> str | None:
        return None if self._transport is None else self._transport.library

    def _run_serially(self, sweep: Sweep) -> None:
        SerialMode().run(self._isolated(sweep))

    def _isolated(self, sweep: Sweep) -> Sweep:
        """Have trials of this process run in children of it, if they are to."""
        if not self._options.isolate:
            return sweep
        from .isolation.attempts import ChildProcesses

        children = ChildProcesses(self._job(sweep), sweep.experiment)
        return replace(sweep, isolation=children)

    def _lead(self, sweep: Sweep) -> None:
        transport, mode = self._transport, self._mode
        if transport is None or not isinstance(mode, MPIMode):
            return
        transport.send_all(m.Begin(self._job(sweep).pack()))
        self._workers = WORKING
        error = mode.lead(transport, sweep)
        self._workers = RELEASED
        if error is not None:
            raise error

    def _on_threads(self, mode: MultithreadedMode) -> Callable[[Sweep], None]:
        def say_busy(busy: bool) -> None:
            self._threads_busy = busy

        return lambda sweep: mode.run(self._isolated(sweep), say_busy)

    # --- executors over worker ranks

    def _ranks(self, mode: HeterogeneousMode, experiment: Experiment) -> Crew:
        transport = self._transport
        if transport is None:
            workers = mode.workers_when_alone
            script = self._script or script_of(experiment)
            return Crew(
                type(mode).__name__,
                1 + workers,
                None,
                lambda sweep: self._lead_spawned(mode, workers, script, sweep),
                _described(workers, mode.threads_per_worker),
            )
        workers = _workers_of(mode, transport.size)
        return self._crew_of(
            _described(workers, mode.threads_per_worker),
            lambda sweep: self._lead_ranks(mode, transport, workers, sweep),
        )

    def _lead_ranks(
        self, mode: HeterogeneousMode, transport: Transport, workers: int, sweep: Sweep
    ) -> None:
        job = self._job(sweep, mode.threads_per_worker)
        order = m.Begin(job._replace(workers=workers).pack())
        for rank in range(1, 1 + workers):
            transport.send(rank, order)
        self._workers = WORKING
        error = mode.lead(transport, range(1, 1 + workers), sweep)
        self._workers = RELEASED
        if error is not None:
            raise error

    def _lead_spawned(
        self,
        mode: HeterogeneousMode,
        workers: int,
        script: Script | None,
        sweep: Sweep,
    ) -> None:
        from .mpi.spawn import spawned

        error: BaseException | None = None
        main = main_of(sweep.experiment, self._script)
        with spawned(workers) as transport:
            self._transport, self._script = transport, script
            job = self._job(sweep, mode.threads_per_worker)
            transport.send_all(m.Begin(job._replace(main=main).pack()))
            self._workers = WORKING
            error = mode.lead(transport, range(1, transport.size), sweep)
            self._workers = RELEASED
        self._transport = None
        if error is not None:
            raise error

    def _job(self, sweep: Sweep, lanes: int | None = None) -> Job:
        database, experiment = self._database, sweep.experiment
        return Job(
            experiment.name,
            experiment.id,
            pack_if_possible(experiment.configuration),
            self._script,
            sweep.include,
            self._directory,
            database.arrays_folder if database else None,
            database.lock_token if database else None,
            sweep.drain.time_left(),
            sweep.allow_pickle,
            lanes,
            None,
            self._options.isolate,
            self._options.trial_timeout,
            reseed=experiment.reseed,
        )

    # --- the end

    def _dismiss(self, message: m.Dismiss) -> None:
        if self._transport is not None and self._workers != WORKING:
            self._transport.send_all(message)

    def _tell(self, error: BaseException) -> None:
        """Let no worker wait for a rank 0 that has stopped, and no thread hold it."""
        busy = self._workers == WORKING or self._threads_busy
        if self._transport is not None and busy:
            end_all(error, self._transport.abort)
        elif busy and not is_interactive():
            end_all(error, _leave)
        self._dismiss(m.Dismiss(error=(type(error).__name__, str(error))))


def _require_database(database: object) -> None:
    if not isinstance(database, ExperimentDatabase):
        msg = f"execute() needs what open_db() returned, not {database!r}"
        raise ConfigurationError(msg)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _described(workers: int, threads: int) -> str:
    described = _counted(workers, "worker")
    return described if threads == 1 else f"{described} of {threads} threads"


def _workers_of(mode: HeterogeneousMode, size: int) -> int:
    """Give how many of mpirun's ranks are to work."""
    there = size - 1
    if mode.workers is not None and mode.workers > there:
        msg = (
            f"{mode!r} asks for {_counted(mode.workers, 'worker')}, and mpirun started "
            f"{there} beside rank 0: use `mpirun -n {mode.workers + 1}`, or leave "
            "workers out"
        )
        raise ConfigurationError(msg)
    return mode.workers or there


def _leave(code: int) -> NoReturn:
    """End this process although trials run on its threads, which nobody can stop."""
    output.flush()
    os._exit(code)


def end_all(error: BaseException, leave: Callable[[int], NoReturn]) -> None:
    """Say what happened and leave: whoever runs trials is busy and cannot be told."""
    try:
        _say(error)
    finally:
        leave(_exit_code(error))


def _say(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt):
        output.say("experimenter_mpi: stopped at once; run again to go on")
    elif isinstance(error, ExperimenterError):
        output.say(f"experimenter_mpi: {printable(str(error))}")
    else:
        output.say("".join(traceback.format_exception(error)).rstrip())


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return EXIT_STOPPED
    if isinstance(error, TrialTimeoutError):
        return EXIT_STOPPED if error.work_left else EXIT_FAILED_TRIALS
    return EXIT_WRONG if isinstance(error, ExperimenterError) else EXIT_FAILED_TRIALS
