"""Run parameter sweeps, from a laptop to thousands of MPI ranks, and keep the results.

Importing this package imports nothing else: names are looked up on first use (PEP 562).
Whatever this file imported, thousands of ranks would read from one parallel file
system in the same second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .database.array_places import (
        array_path,
        open_array,
    )
    from .database.handle import (
        ExperimentDatabase,
        add_results,
        complete_trial,
        delete_experiment,
        export_db,
        get_experiment,
        get_experiment_by_name,
        get_experiments,
        get_notes,
        get_progress,
        get_ratio_completed_trials_by_name,
        get_snapshots,
        get_tags,
        get_trial,
        get_trials,
        get_trials_by_name,
        get_trials_ids_by_name,
        latest_snapshot,
        mark_trial_as_incomplete,
        merge_databases,
        note,
        open_db,
        restore_from_db,
        save_snapshot,
        tag,
        to_dataframe,
        to_xarray,
    )
    from .database.notes import (
        Note,
    )
    from .database.stored_array import (
        StoredArray,
    )
    from .errors import (
        ConfigurationError,
        CorruptDocumentError,
        DatabaseError,
        DatabaseLockedError,
        DatabaseWriteError,
        EncodingError,
        ExperimenterError,
        ExperimentMismatchError,
        ForeignDatabaseError,
        IsolationError,
        JobScriptError,
        LaunchError,
        MissingPackageError,
        NotCoordinatorError,
        NotFoundError,
        OutsideTrialError,
        PickledValueWarning,
        PickleRefusedError,
        ProtocolError,
        RankDiedError,
        SchemaVersionError,
        ScriptError,
        StoreError,
        TrialError,
        TrialInterrupted,
        TrialNotFinishedError,
        TrialProcessError,
        TrialTimeoutError,
        WorkerDiedError,
    )
    from .experiment.derived import (
        Derived,
    )
    from .experiment.designs import (
        sampled,
    )
    from .experiment.distributions import (
        Choice,
        Integers,
        LogIntegers,
        LogUniform,
        Normal,
        Uniform,
    )
    from .experiment.experiment import (
        Experiment,
        Trial,
    )
    from .experiment.table_rows import (
        table,
    )
    from .experiment.variables import (
        IntegerVariable,
        IterableVariable,
        LinearVariable,
        LogLinearVariable,
        MatchIterableVariable,
        RepeatVariable,
        Variable,
    )
    from .experiment.zipped import (
        ZippedVariable,
        zipped,
    )
    from .modes import (
        SerialMode,
    )
    from .modes.distributed import (
        DistributedMode,
        HeterogeneousMode,
    )
    from .modes.mpi import (
        MPIMode,
    )
    from .modes.multithreaded import (
        MultithreadedMode,
    )
    from .run.execute import (
        execute,
    )
    from .run.summary import (
        RunSummary,
    )
    from .trial.context import (
        Snapshot,
        complete_trial_in_global_database,
        get_global_store,
        get_latest_snapshot_from_global_database,
        get_results_from_trial_global_database,
        get_rng,
        get_seed,
        save_snapshot_in_global_database,
        stop_requested,
        time_left,
    )

__all__ = [
    "Choice",
    "ConfigurationError",
    "CorruptDocumentError",
    "DatabaseError",
    "DatabaseLockedError",
    "DatabaseWriteError",
    "Derived",
    "DistributedMode",
    "EncodingError",
    "Experiment",
    "ExperimentDatabase",
    "ExperimentMismatchError",
    "ExperimenterError",
    "ForeignDatabaseError",
    "HeterogeneousMode",
    "IntegerVariable",
    "Integers",
    "IsolationError",
    "IterableVariable",
    "JobScriptError",
    "LaunchError",
    "LinearVariable",
    "LogIntegers",
    "LogLinearVariable",
    "LogUniform",
    "MPIMode",
    "MatchIterableVariable",
    "MissingPackageError",
    "MultithreadedMode",
    "Normal",
    "NotCoordinatorError",
    "NotFoundError",
    "Note",
    "OutsideTrialError",
    "PickleRefusedError",
    "PickledValueWarning",
    "ProtocolError",
    "RankDiedError",
    "RepeatVariable",
    "RunSummary",
    "SchemaVersionError",
    "ScriptError",
    "SerialMode",
    "Snapshot",
    "StoreError",
    "StoredArray",
    "Trial",
    "TrialError",
    "TrialInterrupted",
    "TrialNotFinishedError",
    "TrialProcessError",
    "TrialTimeoutError",
    "Uniform",
    "Variable",
    "WorkerDiedError",
    "ZippedVariable",
    "add_results",
    "array_path",
    "complete_trial",
    "complete_trial_in_global_database",
    "delete_experiment",
    "execute",
    "export_db",
    "get_experiment",
    "get_experiment_by_name",
    "get_experiments",
    "get_global_store",
    "get_latest_snapshot_from_global_database",
    "get_notes",
    "get_progress",
    "get_ratio_completed_trials_by_name",
    "get_results_from_trial_global_database",
    "get_rng",
    "get_seed",
    "get_snapshots",
    "get_tags",
    "get_trial",
    "get_trials",
    "get_trials_by_name",
    "get_trials_ids_by_name",
    "latest_snapshot",
    "mark_trial_as_incomplete",
    "merge_databases",
    "note",
    "open_array",
    "open_db",
    "restore_from_db",
    "sampled",
    "save_snapshot",
    "save_snapshot_in_global_database",
    "stop_requested",
    "table",
    "tag",
    "time_left",
    "to_dataframe",
    "to_xarray",
    "zipped",
]

# Which module each name is looked up in.
_NAMES = {
    "trial.context": """Snapshot complete_trial_in_global_database get_global_store
        get_latest_snapshot_from_global_database get_results_from_trial_global_database
        get_rng get_seed save_snapshot_in_global_database stop_requested time_left""",
    "database.handle": """ExperimentDatabase add_results complete_trial
        delete_experiment export_db get_experiment get_experiment_by_name
        get_experiments get_notes get_progress get_ratio_completed_trials_by_name
        get_snapshots get_tags get_trial get_trials get_trials_by_name
        get_trials_ids_by_name latest_snapshot mark_trial_as_incomplete
        merge_databases note open_db restore_from_db save_snapshot tag to_dataframe
        to_xarray""",
    "database.array_places": "array_path open_array",
    "database.notes": "Note",
    "database.stored_array": "StoredArray",
    "errors": """ConfigurationError CorruptDocumentError DatabaseError
        DatabaseLockedError DatabaseWriteError EncodingError ExperimentMismatchError
        ExperimenterError ForeignDatabaseError IsolationError JobScriptError LaunchError
        MissingPackageError NotCoordinatorError NotFoundError OutsideTrialError
        PickleRefusedError PickledValueWarning ProtocolError RankDiedError
        SchemaVersionError ScriptError StoreError TrialError TrialInterrupted
        TrialNotFinishedError TrialProcessError TrialTimeoutError WorkerDiedError""",
    "experiment.experiment": "Experiment Trial",
    "modes": "SerialMode",
    "modes.distributed": "DistributedMode HeterogeneousMode",
    "modes.mpi": "MPIMode",
    "modes.multithreaded": "MultithreadedMode",
    "run.execute": "execute",
    "run.summary": "RunSummary",
    "experiment.derived": "Derived",
    "experiment.designs": "sampled",
    "experiment.distributions": "Choice Integers LogIntegers LogUniform Normal Uniform",
    "experiment.table_rows": "table",
    "experiment.zipped": "ZippedVariable zipped",
    "experiment.variables": """IntegerVariable IterableVariable LinearVariable
        LogLinearVariable MatchIterableVariable RepeatVariable Variable""",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
