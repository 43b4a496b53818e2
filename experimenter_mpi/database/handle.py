"""The public face of a database: open it, ask it, change it.

Worker ranks import this module too. It imports nothing of SQL: that happens when a
database is really opened, which is on rank 0 only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import NotCoordinatorError
from ..mpi import launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from uuid import UUID

    from typing_extensions import Self

    from ..coordination.ledger import Ledger
    from ..experiment.experiment import Experiment, Trial
    from ..experiment.share import Share
    from ..trial.context import Snapshot
    from .deaths import Deaths
    from .session import Session
    from .upkeep import Upkeep
    from .versions import Versions


def open_db(
    database_name: str | os.PathLike[str],
    experiment_folder: str | os.PathLike[str] = "experiments",
    create_folder: bool = True,
    *,
    in_memory: bool = False,
    read_only: bool = False,
    allow_pickle: bool = False,
) -> ExperimentDatabase:
    """Open or create ``experiment_folder/database_name``; nothing in it is overwritten.

    On a worker rank nothing is opened: what is returned raises NotCoordinatorError
    when it is asked anything, so that a script can run unchanged on every rank.

    Args:
        database_name: The file's name.
        experiment_folder: Where it is.
        create_folder: Whether to make the folder if there is none.
        in_memory: Keep everything in memory, whatever the names say.
        read_only: Never write; works while a run is writing.
        allow_pickle: Read pickled values. They can run any code: trust the database.

    Raises:
        ForeignDatabaseError: the file is no database, or another program's.
        SchemaVersionError: it was written by a newer version.
        DatabaseWriteError: it may not be written.
        NotFoundError: ``read_only``, and there is none.
        DatabaseError: there is no such folder, or the name is that of one.
    """
    if launch.world_rank() != 0:
        return ExperimentDatabase(None)
    from . import session

    if in_memory:
        return ExperimentDatabase(session.open_memory(allow_pickle=allow_pickle))
    path = os.path.join(os.fspath(experiment_folder), os.fspath(database_name))
    opened = session.open_file(
        path,
        create_folder=create_folder,
        read_only=read_only,
        allow_pickle=allow_pickle,
    )
    return ExperimentDatabase(opened)


class ExperimentDatabase:
    """Experiments, trials, snapshots and runs in one SQLite file; see ``open_db``.

    Ids may be given as UUID or text; what has no such id or name raises NotFoundError.
    One handle may be used by several threads. A context manager: closes at the end.
    """

    def __init__(self, session: Session | None) -> None:
        self._session = session

    @property
    def is_coordinator(self) -> bool:
        """Whether this process holds the database: rank 0, or a process by itself."""
        return self._session is not None

    @property
    def _open(self) -> Session:
        if self._session is not None:
            return self._session
        then = "put what reads results under 'if database.is_coordinator:'"
        raise NotCoordinatorError(f"only rank 0 holds the database: {then}")

    # --- experiments

    def get_experiment(self, experiment_id: UUID | str) -> Experiment:
        """Return an experiment by its id."""
        return self._open.experiments.get(experiment_id)

    def get_experiments(self) -> list[Experiment]:
        """Return all experiments, in the order in which they were added."""
        return self._open.experiments.get_all()

    def get_experiment_by_name(self, name: str) -> Experiment:
        """Return the experiment of this name."""
        return self._open.experiments.get_named(name)

    def restore_from_db(self, experiment: Experiment) -> Experiment:
        """Return it with its stored id; ExperimentMismatchError if it differs."""
        return self._open.experiments.restore(experiment)

    def delete_experiment(self, experiment_id: UUID | str) -> None:
        """Remove an experiment with its trials, snapshots, arrays and runs."""
        self._open.experiments.delete(experiment_id)

    # --- trials

    def get_trial(self, trial_id: UUID | str) -> Trial:
        """Return a trial by its id."""
        return self._open.trials.get(trial_id)

    def get_trials(self, experiment_id: UUID | str) -> list[Trial]:
        """Return an experiment's trials, in order."""
        return self._open.trials.of_experiment(experiment_id)

    def get_trials_by_name(self, name: str) -> list[Trial]:
        """Return the trials of the experiment of this name, in order."""
        return self._open.trials.named(name)

    def get_trials_ids_by_name(self, name: str) -> list[UUID]:
        """Return the ids of the trials of the experiment of this name, in order."""
        return self._open.trials.ids_named(name)

    def get_progress(self, name: str) -> list[dict[str, Any]]:
        """Return one flat dict per trial, without its results, as pandas takes them."""
        return self._open.trials.progress(name)

    def get_ratio_completed_trials_by_name(self, name: str) -> float:
        """Return which part of the trials is finished, from 0 to 1."""
        return self._open.trials.finished_ratio(name)

    def complete_trial(self, trial_id: UUID | str, results: dict[str, Any]) -> None:
        """Store results; the trial is then finished, whatever it was before."""
        self._open.trials.complete(trial_id, results)

    def mark_trial_as_incomplete(
        self, trial_id: UUID | str, *, keep_snapshots: bool = True
    ) -> None:
        """Delete a trial's results, so that it runs again from its latest snapshot.

        Without ``keep_snapshots`` those go as well, as by ``reset``: it starts over.
        """
        self._open.upkeep.reset_ids([trial_id], keep_snapshots=keep_snapshots)

    # --- snapshots

    def save_snapshot(
        self, trial_id: UUID | str, state: dict[str, Any], label: str | None = None
    ) -> None:
        """Save the state of a trial; durable on return."""
        self._open.snapshots.save(trial_id, state, label)

    def get_snapshots(self, trial_id: UUID | str) -> list[Snapshot]:
        """Return a trial's snapshots, newest first."""
        return self._open.snapshots.get_all(trial_id)

    def latest_snapshot(self, trial_id: UUID | str) -> Snapshot | None:
        """Return a trial's latest snapshot, None if there is none."""
        return self._open.snapshots.latest(trial_id)

    # --- whole databases

    def export_db(
        self, outfile: str | os.PathLike[str], *experiment_names: str
    ) -> ExperimentDatabase:
        """Copy the named experiments, or all, to a new database, and give that.

        Raises:
            DatabaseWriteError: ``outfile`` exists, or cannot be written.
        """
        copy = self._open.export(os.fspath(outfile), experiment_names)
        return ExperimentDatabase(copy)

    def merge_databases(self, secondary_db: ExperimentDatabase) -> None:
        """Add what only the second database has; running it twice changes nothing.

        New experiments come whole; of a shared one, trials that are finished only
        there, or failed there and were not tried here, and snapshots not yet here.
        Raises ExperimentMismatchError, changing nothing, where configurations differ.
        """
        self._open.merge(secondary_db._open)

    def close(self) -> None:
        """Let the file go. Safe to repeat."""
        if self._session is not None:
            self._session.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._session is None:
            return "<ExperimentDatabase of rank 0, which this rank is not>"
        return f"<ExperimentDatabase {self.path or 'in memory'}>"

    # --- for who runs experiments

    @property
    def path(self) -> str | None:
        """The file's absolute path, None in memory."""
        return self._open.storage.path

    @property
    def arrays_folder(self) -> str | None:
        """The folder of large arrays, None in memory."""
        return self._open.storage.arrays_folder

    @property
    def allow_pickle(self) -> bool:
        return self._open.storage.allow_pickle

    @property
    def notices(self) -> list[str]:
        """What people should know of how the lock was had; a line each."""
        return self._open.storage.notices

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` told what people should know, from now on and so far."""
        self._open.storage.listen(listener)

    @property
    def lock_token(self) -> str | None:
        """What the lock file says while ``writing()``: proof of a shared folder."""
        return self._open.storage.lock_token

    def writing(self) -> AbstractContextManager[None]:
        """Be the only writer until the end of the block. May be nested.

        Raises:
            DatabaseLockedError: another process is, and it lives.
        """
        return self._open.storage.writing()

    def enrol(
        self,
        experiment: Experiment,
        *,
        force_overwrite: bool = False,
        id_by_content: bool = False,
    ) -> None:
        """Store a new experiment whole, or restore it; see ``Experiments.enrol``."""
        enrol = self._open.experiments.enrol
        enrol(experiment, force_overwrite=force_overwrite, id_by_content=id_by_content)

    def unfinished(
        self, experiment_id: UUID | str, *, retry_failed: bool = True
    ) -> list[range]:
        """Return the trials to run as ranges in order, without ``deaths.fatal``."""
        return self._open.trials.unfinished(experiment_id, retry_failed=retry_failed)

    def release_running(self, experiment_id: UUID | str) -> None:
        """Make trials that are running pending again."""
        self._open.trials.release_running(experiment_id)

    @property
    def deaths(self) -> Deaths:
        return self._open.deaths

    @property
    def versions(self) -> Versions:
        return self._open.versions

    @property
    def upkeep(self) -> Upkeep:
        return self._open.upkeep

    def counts(
        self, experiment_id: UUID | str, share: Share | None = None
    ) -> dict[str, int]:
        """Return the number of trials of each status, in the share if there is one."""
        return self._open.trials.counts(experiment_id, share)

    def ledger(self, experiment_id: UUID | str, *options: Any, **named: Any) -> Ledger:
        """Return where a run records what becomes of trials; see ``TrialLedger``."""
        return self._open.ledger(experiment_id, *options, **named)

    def start_run(self, experiment_id: UUID | str, facts: Mapping[str, Any]) -> int:
        """Record that a run begins; give its number."""
        return self._open.runs.start(experiment_id, facts)

    def finish_run(self, run_id: int, ended: str, counts: Mapping[str, int]) -> None:
        """Record how a run ended, and the counts at that time."""
        self._open.runs.finish(run_id, ended, counts)

    def sweep_leftovers(self) -> int:
        """Delete array files that killed runs left, before workers begin to write."""
        return self._open.sweep()

    # --- for who shows what is stored, undecoded

    def overview(self) -> list[dict[str, Any]]:
        """Describe every experiment: counts by status, last run."""
        return self._open.reports.overview()

    def overview_of(self, name: str) -> dict[str, Any]:
        """Describe the experiment of this name: counts by status, last run."""
        return self._open.reports.overview_of(name)

    def failures(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Return index, error_type and error_message of failed trials, in order."""
        return self._open.reports.failures(name, limit)

    def trial_row(self, trial_id: UUID | str) -> dict[str, Any]:
        """Return all that is stored of one trial, documents as JSON text."""
        return self._open.reports.trial(trial_id)

    def trial_rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Return index, id, status, configuration, results (JSON texts), in order."""
        return self._open.reports.trials(name)


complete_trial = ExperimentDatabase.complete_trial
delete_experiment = ExperimentDatabase.delete_experiment
export_db = ExperimentDatabase.export_db
get_experiment = ExperimentDatabase.get_experiment
get_experiment_by_name = ExperimentDatabase.get_experiment_by_name
get_experiments = ExperimentDatabase.get_experiments
get_progress = ExperimentDatabase.get_progress
get_ratio_completed_trials_by_name = (
    ExperimentDatabase.get_ratio_completed_trials_by_name
)
get_snapshots = ExperimentDatabase.get_snapshots
get_trial = ExperimentDatabase.get_trial
get_trials = ExperimentDatabase.get_trials
get_trials_by_name = ExperimentDatabase.get_trials_by_name
get_trials_ids_by_name = ExperimentDatabase.get_trials_ids_by_name
latest_snapshot = ExperimentDatabase.latest_snapshot
mark_trial_as_incomplete = ExperimentDatabase.mark_trial_as_incomplete
merge_databases = ExperimentDatabase.merge_databases
restore_from_db = ExperimentDatabase.restore_from_db
save_snapshot = ExperimentDatabase.save_snapshot
