"""What type checkers are promised of the public names; checked by mypy, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from numpy.random import Generator
from typing_extensions import assert_type

from experimenter_mpi import (
    Choice,
    Derived,
    DistributedMode,
    Experiment,
    ExperimentDatabase,
    HeterogeneousMode,
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    MPIMode,
    MultithreadedMode,
    RepeatVariable,
    RunSummary,
    SerialMode,
    Snapshot,
    Trial,
    complete_trial,
    complete_trial_in_global_database,
    delete_experiment,
    execute,
    export_db,
    get_experiment,
    get_experiment_by_name,
    get_experiments,
    get_global_store,
    get_latest_snapshot_from_global_database,
    get_progress,
    get_ratio_completed_trials_by_name,
    get_results_from_trial_global_database,
    get_rng,
    get_seed,
    get_snapshots,
    get_trial,
    get_trials,
    get_trials_by_name,
    get_trials_ids_by_name,
    latest_snapshot,
    mark_trial_as_incomplete,
    merge_databases,
    open_db,
    restore_from_db,
    sampled,
    save_snapshot,
    save_snapshot_in_global_database,
    stop_requested,
    table,
    time_left,
    zipped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def walk(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    store: Mapping[str, Any] = get_global_store()
    assert_type(store["grid"], Any)
    assert_type(get_latest_snapshot_from_global_database(trial_id), Snapshot | None)
    save_snapshot_in_global_database(trial_id, {"step": 1}, "first")
    assert_type(get_results_from_trial_global_database(trial_id), dict[str, Any] | None)
    complete_trial_in_global_database(trial_id, {"distance": 1.0})
    assert_type(stop_requested(), bool)
    assert_type(time_left(), float | None)
    assert_type(get_seed(31), int)
    assert_type(get_rng(), Generator)
    return {"distance": configuration["sigma"]}


experiment = Experiment(
    "walk",
    function=walk,
    configuration={
        "N": IterableVariable([10, 20]),
        "steps": IntegerVariable(1, 1),
        "sigma": LinearVariable(0, 1, 3),
        "rate": LogLinearVariable(1e-3, 1, 4),
        "repetition": RepeatVariable(0, 2),
        "seed": MatchIterableVariable(range(48)),
        **zipped(T=[1.0, 2.0], h=[0.1, 0.2]),
        **table([{"name": "a", "mass": 1.0}]),
        **sampled(8, "sobol", seed=1, x=(0, 1), kind=Choice("a", "b")),
        "twice": Derived(lambda c: 2 * c["N"]),
        "label": "constant",
    },
)
assert_type(experiment.id, UUID)
assert_type(experiment[0], Trial)
assert_type(len(experiment), int)
for trial in experiment:
    assert_type(trial.id, UUID)
    assert_type(trial.index, int)
    assert_type(trial.configuration, dict[str, Any])

with open_db("walk.db", "experiments", read_only=True) as database:
    assert_type(database, ExperimentDatabase)
    assert_type(get_experiment(database, experiment.id), Experiment)
    assert_type(get_experiment_by_name(database, "walk"), Experiment)
    assert_type(get_experiments(database), list[Experiment])
    assert_type(get_progress(database, "walk"), list[dict[str, Any]])
    assert_type(get_ratio_completed_trials_by_name(database, "walk"), float)
    assert_type(get_trial(database, str(experiment[0].id)), Trial)
    assert_type(get_trials(database, experiment.id), list[Trial])
    assert_type(get_trials_by_name(database, "walk"), list[Trial])
    assert_type(get_trials_ids_by_name(database, "walk"), list[UUID])
    assert_type(get_snapshots(database, experiment[0].id), list[Snapshot])
    assert_type(latest_snapshot(database, experiment[0].id), Snapshot | None)
    assert_type(restore_from_db(database, experiment), Experiment)
    assert_type(export_db(database, "other.db", "walk"), ExperimentDatabase)
    merge_databases(database, database)
    complete_trial(database, experiment[0].id, {"distance": 1.0})
    mark_trial_as_incomplete(database, experiment[0].id)
    save_snapshot(database, experiment[0].id, {"step": 1})
    delete_experiment(database, experiment.id)
    # One definition: the function is the method.
    assert_type(database.get_trial(experiment[0].id), Trial)

    for mode in (
        SerialMode(),
        SerialMode,
        MultithreadedMode(threads=2),
        DistributedMode(workers=2),
        HeterogeneousMode(threads_per_worker=2),
        MPIMode(batch_size="auto"),
        MPIMode(batch_size=10),
    ):
        summary = execute(experiment, database, mode, use_progress=True)
        assert summary is not None
        assert_type(summary, RunSummary)
        assert_type(summary.exit_code, int)
        assert_type(summary.finished, int)
