"""Rank 0's part of ``execute``: what the workers are told, and when."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from . import script as scripts
from .campaign import Crew, conduct
from .database.database import ExperimentDatabase
from .errors import ConfigurationError, ExperimenterError
from .modes.mpi import MPIMode
from .modes.serial import SerialMode
from .mpi import messages as m
from .mpi.job import Job, pack_configuration
from .preparation import working_in
from .progress import Progress
from .summary import EXIT_STOPPED, EXIT_WRONG

if TYPE_CHECKING:
    from .experiment import Experiment
    from .mpi.transport import Transport
    from .options import Options
    from .script import Script
    from .summary import RunSummary
    from .sweep import Sweep

WAITING, WORKING, RELEASED = "waiting", "working", "released"


class Lead:
    """Rank 0 of one ``execute``; ``transport`` is None where it is the only rank."""

    def __init__(
        self,
        transport: Transport | None,
        mode: SerialMode | MPIMode,
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

    def conduct(
        self, experiment: Experiment, database: ExperimentDatabase
    ) -> RunSummary:
        """Run the experiment; whatever happens, no worker is left waiting."""
        self._database = database
        try:
            _require_database(database)
            with working_in(self._directory):
                include = scripts.read_include(experiment)
                summary = conduct(
                    experiment,
                    database,
                    self._crew(),
                    self._options,
                    self._progress,
                    include,
                )
        except BaseException as error:
            self._tell(error)
            raise
        self._dismiss(m.Dismiss(str(experiment.id)))
        return summary

    def _crew(self) -> Crew:
        transport = self._transport
        if transport is None:
            if isinstance(self._mode, MPIMode):
                self._progress.note("there is one rank only: running serially")
            return Crew("SerialMode", 1, None, SerialMode().run)
        if isinstance(self._mode, SerialMode):
            self._progress.note(
                f"SerialMode uses 1 of {transport.size} ranks; MPIMode() uses them all"
            )
            return Crew("SerialMode", transport.size, transport.library, self._mode.run)
        return Crew("MPIMode", transport.size, transport.library, self._lead)

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

    def _job(self, sweep: Sweep) -> Job:
        database, experiment = self._database, sweep.experiment
        return Job(
            experiment.name,
            experiment.id,
            pack_configuration(experiment.configuration),
            self._script,
            sweep.include,
            self._directory,
            database.arrays_folder if database else None,
            database.lock_token if database else None,
            sweep.drain.time_left(),
            sweep.allow_pickle,
        )

    def _dismiss(self, message: m.Dismiss) -> None:
        if self._transport is not None and self._workers == WAITING:
            self._transport.send_all(message)

    def _tell(self, error: BaseException) -> None:
        """Let no worker wait for a rank 0 that has stopped."""
        if self._transport is None or self._workers == RELEASED:
            return
        if self._workers == WAITING:
            self._dismiss(m.Dismiss(error=(type(error).__name__, str(error))))
        else:
            end_all_ranks(self._transport, error)


def _require_database(database: object) -> None:
    if not isinstance(database, ExperimentDatabase):
        msg = f"execute() needs what open_db() returned, not {database!r}"
        raise ConfigurationError(msg)


def end_all_ranks(transport: Transport, error: BaseException) -> None:
    """Say what happened and end every rank: workers are busy and cannot be told."""
    if isinstance(error, KeyboardInterrupt):
        print("experimenter_mpi: stopped at once; run again to go on", file=sys.stderr)
        transport.abort(EXIT_STOPPED)
    if isinstance(error, ExperimenterError):
        print(f"experimenter_mpi: {error}", file=sys.stderr)
        transport.abort(EXIT_WRONG)
    traceback.print_exception(error)
    transport.abort(1)
