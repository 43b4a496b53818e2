"""The public face of a database: open it, ask it, change it.

Worker ranks import this module too. It imports nothing of SQL: that happens when a
database is really opened, which is on rank 0 only.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import NotCoordinatorError
from ..mpi import launch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    import pandas as pd
    import xarray as xr
    from typing_extensions import Self

    from ..experiment.experiment import Experiment, Trial
    from ..trial.context import Snapshot
    from .notes import Note
    from .session import Session


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
    def path(self) -> str | None:
        """The file's absolute path, None in memory."""
        return self._open.storage.path

    @property
    def _open(self) -> Session:
        if self._session is not None:
            return self._session
        then = "put code that reads results under 'if database.is_coordinator:'"
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

    def get_trials(
        self, experiment_id: UUID | str, *, set_aside: bool = False
    ) -> list[Trial]:
        """Return an experiment's trials, in order, perhaps those set aside as well."""
        return self._open.trials.of_experiment(experiment_id, aside=set_aside)

    def get_trials_by_name(self, name: str, *, set_aside: bool = False) -> list[Trial]:
        """Return the trials of the experiment of this name, in order."""
        return self._open.trials.named(name, aside=set_aside)

    def get_trials_ids_by_name(
        self, name: str, *, set_aside: bool = False
    ) -> list[UUID]:
        """Return the ids of the trials of the experiment of this name, in order."""
        return self._open.trials.ids_named(name, aside=set_aside)

    def get_progress(
        self, name: str, *, set_aside: bool = False
    ) -> list[dict[str, Any]]:
        """Return one flat dict per trial, without its results, as pandas takes them."""
        return self._open.trials.progress(name, aside=set_aside)

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
        self._open.upkeep.reset_trial(trial_id, keep_snapshots=keep_snapshots)

    def add_results(self, trial_id: UUID | str, results: dict[str, Any]) -> None:
        """Add results to those of a finished trial, as of an analysis made later.

        Nothing else changes: not what is there, nor when and by which run it was made.

        Raises:
            TrialNotFinishedError: the trial has no results yet.
            ConfigurationError: it has results of one of these names.
        """
        self._open.trials.add_results(trial_id, results)

    # --- notes and tags

    def note(self, trial_id: UUID | str, text: str) -> None:
        """Add a note to a trial. It stays when the trial is reset."""
        self._open.notes.add(trial_id, text)

    def get_notes(self, trial_id: UUID | str) -> list[Note]:
        """Return the notes of a trial, oldest first."""
        return self._open.notes.of(trial_id)

    def tag(
        self,
        trial_ids: Iterable[UUID | str],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        """Add tags to trials, and take others from them; all of it or nothing.

        A tag is a short text in one line, without commas.
        """
        self._open.notes.change_tags(trial_ids, add, remove)

    def get_tags(self, trial_id: UUID | str) -> list[str]:
        """Return the tags of a trial, sorted."""
        return self._open.notes.tags_of(trial_id)

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

    # --- tables and arrays

    def to_dataframe(self, name: str, *, arrays: str = "reference") -> pd.DataFrame:
        """Return an experiment as a table: one row per trial, in trial order.

        The index is the trial's number. Columns are the parameters, the results (nested
        ones as ``solver.dt``; one that has the name of a parameter, or of a column
        below, is ``results.NAME``), then ``status``, ``attempts``, ``error`` (type and
        message), ``duration`` in seconds, ``rank``, ``hostname``, ``run``,
        ``started_at`` and ``finished_at`` (UTC).

        Types are kept: whole numbers are ``int64``, or ``Int64`` where trials lack one;
        truth values ``bool`` or ``boolean``; numbers ``float64``, in which NaN stands
        for what is missing. Only where None was stored beside numbers they are
        ``Float64``, in which None is ``<NA>`` and NaN stays NaN. Dates, texts and
        complex numbers are what pandas has for them, anything else is an object.

        Args:
            name: The experiment's name.
            arrays: "reference" leaves numpy arrays where they are stored: each cell is
                a StoredArray, which ``numpy.asarray`` reads. "load" reads all of them,
                "drop" leaves their columns out.

        Raises:
            NotFoundError: there is no experiment of this name.
            MissingPackageError: pandas is not installed.
            PickleRefusedError: a value is pickled, and ``allow_pickle`` was not given.
            ConfigurationError: ``arrays`` is none of these.
        """
        frame: pd.DataFrame = _analysis("frames").to_dataframe(
            self, name, arrays=arrays
        )
        return frame

    def to_xarray(
        self, name: str, *, dims: Mapping[str, Sequence[str]] | None = None
    ) -> xr.Dataset:
        """Return an experiment as a Dataset: results on the grid of the parameters.

        Where the trials form a grid, each parameter that spans it is a dimension with
        its values as coordinates, in the order of the trials; repetitions of equal
        points are the dimension ``repetition``, parameters that follow from others are
        coordinates along them, and those that are the same in all trials are
        attributes. Otherwise there is one dimension, ``trial``, with the parameters as
        coordinates.

        Results that are arrays of one shape have their dimensions as further ones, by
        default ``NAME_0``, ``NAME_1`` and so on. They are read when they are looked at.
        Variables ``status`` and ``duration`` (seconds) say how trials ended; what is
        missing is NaN, in whole numbers and truth values too.

        Args:
            name: The experiment's name.
            dims: Names for the dimensions of results that are arrays, as in
                ``{"spins": ("x", "y")}``.

        Raises:
            NotFoundError: there is no experiment of this name.
            MissingPackageError: xarray is not installed.
            ConfigurationError: ``dims`` does not fit the shape of a result.
            PickleRefusedError: a value is pickled, and ``allow_pickle`` was not given.
        """
        dataset: xr.Dataset = _analysis("datasets").to_xarray(self, name, dims=dims)
        return dataset

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
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._session is None:
            return "<ExperimentDatabase held by rank 0, not by this rank>"
        return f"<ExperimentDatabase {self.path or 'in memory'}>"


def session_of(database: ExperimentDatabase) -> Session:
    """Return what is behind a handle, for the parts of this package that need more.

    Raises:
        NotCoordinatorError: this rank is not rank 0.
    """
    return database._open  # noqa: SLF001 - two halves of one thing


def _analysis(module: str) -> Any:
    """Return a module of the layer above, which is loaded when it is asked for."""
    return import_module(f"..analysis.{module}", __package__)


add_results = ExperimentDatabase.add_results
complete_trial = ExperimentDatabase.complete_trial
delete_experiment = ExperimentDatabase.delete_experiment
export_db = ExperimentDatabase.export_db
get_experiment = ExperimentDatabase.get_experiment
get_experiment_by_name = ExperimentDatabase.get_experiment_by_name
get_experiments = ExperimentDatabase.get_experiments
get_notes = ExperimentDatabase.get_notes
get_progress = ExperimentDatabase.get_progress
get_ratio_completed_trials_by_name = (
    ExperimentDatabase.get_ratio_completed_trials_by_name
)
get_snapshots = ExperimentDatabase.get_snapshots
get_tags = ExperimentDatabase.get_tags
get_trial = ExperimentDatabase.get_trial
get_trials = ExperimentDatabase.get_trials
get_trials_by_name = ExperimentDatabase.get_trials_by_name
get_trials_ids_by_name = ExperimentDatabase.get_trials_ids_by_name
latest_snapshot = ExperimentDatabase.latest_snapshot
mark_trial_as_incomplete = ExperimentDatabase.mark_trial_as_incomplete
merge_databases = ExperimentDatabase.merge_databases
note = ExperimentDatabase.note
restore_from_db = ExperimentDatabase.restore_from_db
save_snapshot = ExperimentDatabase.save_snapshot
tag = ExperimentDatabase.tag
to_dataframe = ExperimentDatabase.to_dataframe
to_xarray = ExperimentDatabase.to_xarray
