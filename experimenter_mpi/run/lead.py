"""Rank 0's part of ``execute``: who runs the trials, and what workers are told."""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import output
from ..coordination import messages as m
from ..coordination import trail
from ..database.handle import ExperimentDatabase, session_of
from ..errors import (
    ConfigurationError,
    ExperimenterError,
    TrialTimeoutError,
    WorkLeft,
    printable,
)
from ..exit_codes import EXIT_FAILED_TRIALS, EXIT_STOPPED, EXIT_WRONG
from ..trial import script as scripts
from ..trial.briefing import (
    Briefing,
    origin_of,
    pack_if_possible,
    pack_study,
    script_of,
)
from ..trial.functions import working_in
from ..trial.outcome import Place
from ..trial.signals import telling_on_quit
from .campaign import Campaign
from .progress import Progress
from .terminal import is_interactive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import NoReturn

    from ..coordination.sweep import Sweep
    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..modes import Mode
    from ..mpi.transport import Transport
    from ..trial.briefing import Origin
    from ..trial.script import Script
    from .summary import Options, RunSummary

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
        self.transport = transport
        self._mode = mode
        self._options = options
        self._progress = Progress(use_progress)
        self._directory = directory
        self._script = script
        self._session: Session | None = None
        self._workers = WAITING
        self._threads_busy = False
        self._main: Origin | None = None

    def conduct(
        self, experiment: Experiment, database: ExperimentDatabase
    ) -> RunSummary:
        """Run the experiment; whatever happens, no worker is left waiting."""
        self._experiment = experiment
        place = None if self.transport is None else self.transport.place
        trail.begin(place or Place(0, os.uname().nodename))
        try:
            self._session = _session_of(database)
            with output.safe(), telling_on_quit(), working_in(self._directory):
                summary = self._run(experiment, self._session)
        except BaseException as error:
            self._tell(error)
            raise
        trail.decided("end: %s", str(summary), level=trail.INFO)
        self._dismiss(m.Dismiss(summary.packed()))
        return summary

    def _run(self, experiment: Experiment, session: Session) -> RunSummary:
        include = scripts.read_include(experiment)
        workforce = self._mode.workforce(self)
        campaign = Campaign(experiment, session, self._options, self._progress, include)
        with campaign.begun() as stored:
            if stored.pending:
                with campaign.running(stored, workforce) as sweep:
                    workforce.run(sweep)
            return campaign.summary(stored)

    # --- what modes ask for (see ``modes.Lead``)

    def note(self, text: str) -> None:
        self._progress.note(text)

    def say_busy(self, busy: bool) -> None:
        self._threads_busy = busy

    def isolated(self, sweep: Sweep) -> Sweep:
        if not self._options.isolate:
            return sweep
        from ..isolation.children import ChildProcesses

        children = ChildProcesses(self._job(sweep), sweep.experiment)
        return replace(sweep, isolation=children)

    @contextmanager
    def working(
        self, sweep: Sweep, transport: Transport, ranks: Iterable[int], **facts: Any
    ) -> Iterator[None]:
        order = m.Begin(self._job(sweep)._replace(**facts).pack())
        for rank in ranks:
            trail.sent(rank, order)
            transport.send(rank, order)
        self._workers = WORKING
        yield
        self._workers = RELEASED

    def script_of_workers(self) -> Script | None:
        return self._script or script_of(self._experiment)

    @contextmanager
    def spawned(
        self, workers: int, script: Script | None, sweep: Sweep
    ) -> Iterator[Transport]:
        from .kept_workers import spawned

        self._main = origin_of(sweep.experiment, self._script)
        with spawned(workers, script) as transport:
            self.transport, self._script = transport, script
            yield transport
        self.transport = None

    def _job(self, sweep: Sweep) -> Briefing:
        experiment = sweep.experiment
        storage = None if self._session is None else self._session.storage
        return Briefing(
            experiment.name,
            experiment.id,
            pack_if_possible(experiment.configuration),
            self._script,
            sweep.include,
            self._directory,
            storage.arrays_folder if storage else None,
            storage.lock_token if storage else None,
            sweep.drain.time_left(),
            sweep.allow_pickle,
            main=self._main,
            isolate=self._options.isolate,
            trial_timeout=self._options.trial_timeout,
            reseed=experiment.reseed,
            seed=experiment.seed,
            bar_on=self._progress.bar_on,
            log=self._options.log and self._options.log[:],  # a plain tuple
            study=pack_study(experiment),
        )

    # --- the end

    def _dismiss(self, message: m.Dismiss) -> None:
        if self.transport is not None and self._workers != WORKING:
            self.transport.send_all(message)

    def _tell(self, error: BaseException) -> None:
        """Let no worker wait for a rank 0 that has stopped, and no thread hold it."""
        trail.log(trail.ERROR, "stopped by %s: %s", type(error).__name__, error)
        busy = self._workers == WORKING or self._threads_busy
        if self.transport is not None and busy:
            end_all(error, self.transport.abort)
        elif busy and not is_interactive():
            end_all(error, _leave)
        self._dismiss(m.Dismiss(error=(type(error).__name__, str(error))))


def _session_of(database: object) -> Session:
    if not isinstance(database, ExperimentDatabase):
        msg = f"execute() needs the database that open_db() returned, not {database!r}"
        raise ConfigurationError(msg)
    return session_of(database)


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
        output.say(
            "experimenter_mpi: stopped at once; rerun the same command to continue"
        )
    elif isinstance(error, ExperimenterError):
        output.say(f"experimenter_mpi: {printable(str(error))}")
    else:
        output.say("".join(traceback.format_exception(error)).rstrip())


def _exit_code(error: BaseException) -> int:
    if isinstance(error, (KeyboardInterrupt, WorkLeft)):
        return EXIT_STOPPED
    if isinstance(error, TrialTimeoutError):
        return EXIT_FAILED_TRIALS
    return EXIT_WRONG if isinstance(error, ExperimenterError) else EXIT_FAILED_TRIALS
