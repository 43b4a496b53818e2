"""Extending: what there was stays to the byte, and what is new is added."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experimenter_mpi import (
    ConfigurationError,
    CorruptDocumentError,
    Derived,
    Experiment,
    ExperimentMismatchError,
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    MultithreadedMode,
    RepeatVariable,
    execute,
    open_db,
)
from experimenter_mpi.database.handle import session_of

SMALL = {"x": IntegerVariable(1, 3), "r": RepeatVariable(None, 2)}
LARGE = {"x": IntegerVariable(1, 4), "r": RepeatVariable(None, 3)}


def double(configuration, trial_id):
    return {"y": configuration["x"] * 2}


def walk(configuration=SMALL, **more):
    return Experiment("walk", function=double, configuration=configuration, **more)


def run(db, configuration=SMALL, *, extend=True, **more):
    """Run the experiment so configured; give it, and what the run did."""
    experiment = walk(configuration, **more)
    return experiment, execute(experiment, db, extend=extend)


def stored_rows(path):
    """Everything that is stored of trials and snapshots, as bytes."""
    plain = sqlite3.connect(path)
    tables = ("trial_records", "trial_errors", "snapshots", "arrays")
    found = {
        name: set(plain.execute(f"SELECT * FROM {name}").fetchall()) for name in tables
    }
    plain.close()
    return found


def points(db, **options):
    found = db.get_trials_by_name("walk", **options)
    return [(trial.index, trial.configuration["x"]) for trial in found]


def test_what_is_new_is_run_and_what_was_there_stays_to_the_byte(db):
    first, _ = run(db)
    trial = db.get_trials_by_name("walk")[2]
    db.save_snapshot(trial.id, {"field": np.arange(3.0)}, "by hand")
    before = stored_rows(db.path)

    again, summary = run(db, LARGE)

    assert again.id == first.id
    assert (summary.trials, summary.finished, summary.skipped) == (12, 6, 6)
    after = stored_rows(db.path)
    assert all(before[name] <= after[name] for name in before)
    assert db.get_trials_by_name("walk")[2] == trial


def test_trials_of_old_and_new_blocks_are_computed_alike(db):
    experiment, _ = run(db)
    experiment, _ = run(db, LARGE)
    trials = db.get_trials_by_name("walk")

    stored = db.get_experiment_by_name("walk")

    assert (
        [trial.index for trial in trials]
        == list(range(12))
        == [trial.index for trial in experiment]
    )
    for trial in trials:
        assert trial.results == {"y": trial.configuration["x"] * 2}
        assert trial.id == experiment[trial.index].id == stored[trial.index].id
        assert trial.configuration == experiment[trial.index].configuration
        assert trial.configuration == stored[trial.index].configuration
    assert len(stored) == len(experiment) == 12
    assert stored.configuration == LARGE


def test_a_changed_configuration_is_refused_with_the_difference_in_numbers(db):
    run(db)
    before = stored_rows(db.path)

    with pytest.raises(ExperimentMismatchError) as caught:
        run(db, {**SMALL, "x": IntegerVariable(2, 4)}, extend=False)

    assert "x: IntegerVariable(1, 3) -> IntegerVariable(2, 4)" in str(caught.value)
    assert (
        "Rerun with --extend (extend=True) to go on: 2 new trials, 4 kept, 2 set aside."
    ) in str(caught.value)
    assert stored_rows(db.path) == before


def test_what_is_set_aside_is_neither_run_nor_counted(db):
    experiment, _ = run(db)
    db.mark_trial_as_incomplete(experiment[0].id)

    smaller, summary = run(db, {**SMALL, "x": IntegerVariable(2, 3)})

    assert (summary.trials, summary.finished, summary.skipped) == (4, 0, 4)
    assert len(smaller) == 4
    assert [index for index, _ in points(db)] == [2, 3, 4, 5]
    assert points(db, set_aside=True)[:2] == [(0, 1), (1, 1)]
    assert db.get_ratio_completed_trials_by_name("walk") == 1.0
    assert len(db.get_progress("walk")) == 4
    assert len(db.get_progress("walk", set_aside=True)) == 6
    assert len(db.get_trials_ids_by_name("walk")) == 4
    assert len(db.get_trials_ids_by_name("walk", set_aside=True)) == 6
    overview = session_of(db).reports.overview_of("walk")
    assert overview["trials"] == 4
    assert overview["counts"]["finished"] == 4
    assert (overview["set_aside"], overview["finished_aside"]) == (2, 1)


def test_what_was_set_aside_comes_back_with_its_results(db):
    run(db)
    run(db, {**SMALL, "x": 3})
    assert [index for index, _ in points(db)] == [4, 5]

    _, summary = run(db)

    assert (summary.finished, summary.skipped) == (0, 6)
    assert [index for index, _ in points(db)] == list(range(6))


def test_extending_by_nothing_writes_nothing(db, tmp_path):
    run(db)
    other_words = {
        "r": RepeatVariable(None, 2),
        "x": LinearVariable(1, 3, 3),
    }
    experiments = session_of(db).experiments
    with sqlite3.connect(db.path) as plain:
        before = list(plain.iterdump())

    assert experiments.enrol(walk(), extend=True) is None
    assert experiments.enrol(walk(other_words), extend=True) is None
    assert experiments.enrol(walk(other_words)) is None

    with sqlite3.connect(db.path) as plain:
        assert list(plain.iterdump()) == before


def test_a_parameter_that_is_new_has_an_assumed_value_in_old_trials(db):
    run(db)
    new = {**SMALL, "b": IterableVariable([0, 1])}

    _, summary = run(db, new, assume={"b": 0})

    assert (summary.trials, summary.finished, summary.skipped) == (12, 6, 6)
    # It is remembered: the old trials are those of b = 0 for good.
    _, summary = run(db, {**new, "b": IterableVariable([0, 1, 2])})
    assert (summary.trials, summary.finished, summary.skipped) == (18, 6, 12)


def test_a_parameter_may_go_as_well(db):
    run(db, {**SMALL, "b": IterableVariable([0, 1])})

    _, summary = run(db, SMALL, assume={"b": 1})

    assert (summary.trials, summary.finished, summary.skipped) == (6, 0, 6)
    assert {trial.configuration["b"] for trial in db.get_trials_by_name("walk")} == {1}


@pytest.mark.parametrize("assume", [[], {1: 2}, {"b": IntegerVariable(1, 2)}, "b"])
def test_what_is_assumed_must_be_values_by_name(assume):
    with pytest.raises(ConfigurationError, match="assume must"):
        walk(assume=assume)


def test_other_functions_are_no_extension(db):
    run(db)
    other = Experiment("walk", function_name="triple", configuration=LARGE)

    with pytest.raises(ExperimentMismatchError, match="function_name: double -> tri"):
        session_of(db).experiments.enrol(other, extend=True)


def test_extending_and_overwriting_exclude_each_other(db):
    with pytest.raises(ConfigurationError, match="choose one"):
        execute(walk(), db, extend=True, force_overwrite=True)


def test_overwriting_what_was_extended_begins_with_the_configuration(db):
    run(db)
    run(db, {**LARGE, "x": 4})

    summary = execute(walk(), db, force_overwrite=True)

    assert (summary.trials, summary.finished) == (6, 6)
    assert len(db.get_trials_by_name("walk", set_aside=True)) == 6


def test_shares_of_what_was_extended_are_disjoint_and_complete(open_here):
    databases = [open_here(f"share-{k}.db") for k in (1, 2)]
    for k, db in enumerate(databases, 1):
        execute(walk(), db, share=(k, 2))
    bigger = {**LARGE, "x": IntegerVariable(2, 4)}

    summaries = [
        execute(walk(bigger), db, share=(k, 2), extend=True)
        for k, db in enumerate(databases, 1)
    ]

    assert sum(summary.trials for summary in summaries) == 9
    assert sum(summary.finished for summary in summaries) == 5
    whole = open_here("all.db")
    for db in databases:
        whole.merge_databases(db)
    assert whole.get_ratio_completed_trials_by_name("walk") == 1.0
    assert [index for index, _ in points(whole)] == list(range(2, 11))


def test_threads_run_what_is_new(db):
    run(db)

    summary = execute(walk(LARGE), db, MultithreadedMode(2), extend=True)

    assert (summary.finished, summary.skipped) == (6, 6)


def test_only_what_is_asked_for_is_reset_unless_it_is_named(db):
    experiment, _ = run(db)
    run(db, {**SMALL, "x": 3})
    upkeep = session_of(db).upkeep

    assert list(upkeep.indices(experiment.id)) == [4, 5]
    assert upkeep.indices_where(experiment.id, "status = 'finished'") == [4, 5]


def test_a_large_study_that_was_narrowed_can_be_listed_and_reset(db):
    """Only what is asked for counts, and no list is made of the rest."""

    def big(last):
        points = {"n": IntegerVariable(1, last), "m": IntegerVariable(1, last)}
        return Experiment("big", function_name="f", configuration=points)

    few = big(2)
    session_of(db).experiments.enrol(big(5000))
    session_of(db).experiments.enrol(few, extend=True)
    upkeep = session_of(db).upkeep
    asked = upkeep.indices(few.id)

    assert [(1, 1), (1, 2), (2, 1), (2, 2)] == [
        tuple(trial.configuration.values()) for trial in db.get_trials_by_name("big")
    ]
    assert 4 == len(asked) and 0 == upkeep.count_snapshots(few.id, asked)
    assert not upkeep.reset(few.id, asked)


def test_configurations_with_arrays_keep_their_arrays(db):
    field = np.arange(5.0)

    def with_field(values, shift):
        return {"x": IterableVariable(values), "field": field + shift}

    run(db, with_field([1, 2], 0))
    run(db, {"x": 3, "field": IterableVariable([field, field + 1])})
    session_of(db).upkeep.compact()

    found = db.get_trials_by_name("walk", set_aside=True)

    assert [int(trial.configuration["field"][0]) for trial in found] == [0, 0, 0, 1]
    assert db.get_experiment_by_name("walk")[1].configuration["field"][4] == 4


def points_of(trials):
    return sorted(repr(sorted(trial.configuration.items())) for trial in trials)


CONFIGURATIONS = st.fixed_dictionaries(
    {
        "x": st.one_of(
            st.integers(1, 4).map(lambda n: IntegerVariable(1, n)),
            st.lists(st.integers(1, 5), min_size=1, max_size=3).map(IterableVariable),
        )
    },
    optional={"r": st.integers(1, 3).map(lambda n: RepeatVariable(0, n))},
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(CONFIGURATIONS, min_size=2, max_size=4))
def test_however_often_it_is_extended_nothing_is_lost_or_run_twice(configurations):
    with open_db("x", in_memory=True) as db:
        seen = {}
        for configuration in configurations:
            _, summary = run(db, configuration)

            assert summary.remaining == 0
            found = db.get_trials_by_name("walk", set_aside=True)
            assert all(trial.attempts <= 1 for trial in found)
            assert seen.items() <= {t.index: repr(t) for t in found}.items()
            seen = {trial.index: repr(trial) for trial in found}
            assert points_of(db.get_trials_by_name("walk")) == points_of(
                walk(configuration)
            )


def test_more_trials_than_there_are_numbers_are_refused(db):
    axes = {name: IntegerVariable(1, 900) for name in "abcd"}
    experiments = session_of(db).experiments
    experiments.enrol(walk({**axes, "x": 1}))

    with pytest.raises(ConfigurationError, match=r"more than 10\^12 trials"):
        experiments.enrol(walk({**axes, "x": 2}), extend=True)


def test_a_derived_parameter_adds_no_trials_and_may_not_change(db):
    run(db)
    half = {**LARGE, "half": Derived(lambda c: c["x"] / 2)}

    _, summary = run(db, half)

    assert (summary.trials, summary.finished, summary.skipped) == (12, 6, 6)
    assert [t.configuration.get("half") for t in db.get_trials_by_name("walk")] == [
        *[None] * 6,
        *(t.configuration["x"] / 2 for t in db.get_trials_by_name("walk")[6:]),
    ]
    assert run(db, half, extend=False)[1].skipped == 12
    with pytest.raises(ExperimentMismatchError, match="other values of half"):
        run(db, {**LARGE, "half": Derived(lambda c: c["x"] / 3)})


# --- merging and exporting


def test_databases_that_were_extended_differently_are_merged_by_point(open_here):
    ours, theirs = open_here("ours.db"), open_here("theirs.db")
    run(ours)
    ours.export_db(theirs.path + "-copy").close()
    theirs = open_here("theirs.db-copy")
    run(ours, {**SMALL, "x": IterableVariable([1, 2, 3, 10])})
    run(theirs, {**SMALL, "x": IterableVariable([3, 2, 1, 20, 10])})
    before = stored_rows(ours.path)

    ours.merge_databases(theirs)

    assert before["trial_records"] <= stored_rows(ours.path)["trial_records"]
    assert points(ours)[6:] == [(6, 10), (7, 10), (8, 20), (9, 20)]
    assert ours.get_ratio_completed_trials_by_name("walk") == 1.0
    after = stored_rows(ours.path)
    ours.merge_databases(theirs)
    assert stored_rows(ours.path) == after


def test_snapshots_go_to_the_trial_of_the_same_point(open_here):
    ours, theirs = open_here("ours.db"), open_here("theirs.db")
    run(ours, {"x": IntegerVariable(1, 3)})
    run(theirs, {"x": IterableVariable([3, 1])})
    theirs.save_snapshot(theirs.get_trials_by_name("walk")[0].id, {"step": 3})

    ours.merge_databases(theirs)

    [snapshot] = ours.get_snapshots(ours.get_trials_by_name("walk")[2].id)
    assert snapshot.state == {"step": 3}


def test_what_a_merge_adds_is_asked_for_until_the_script_says_otherwise(open_here):
    ours, theirs = open_here("ours.db"), open_here("theirs.db")
    run(ours)
    run(theirs, LARGE)
    ours.merge_databases(theirs)
    assert len(ours.get_trials_by_name("walk")) == 12

    with pytest.raises(ExperimentMismatchError, match="0 new trials, 6 kept, 6 set"):
        run(ours, extend=False)
    assert run(ours, LARGE, extend=False)[1].skipped == 12
    assert run(ours)[1].trials == 6


def test_what_was_set_aside_stays_so_when_an_older_database_is_merged(open_here):
    ours, older = open_here("ours.db"), open_here("older.db")
    run(ours)
    ours.export_db(older.path + "-copy").close()
    older = open_here("older.db-copy")
    run(ours, {**SMALL, "x": 2})

    ours.merge_databases(older)

    assert [index for index, _ in points(ours)] == [2, 3]


def test_experiments_without_a_trial_in_common_are_not_merged(open_here):
    ours, theirs = open_here("ours.db"), open_here("theirs.db")
    run(ours)
    run(theirs, {"x": IntegerVariable(7, 9)})
    before = stored_rows(ours.path)

    with pytest.raises(ExperimentMismatchError, match="no trial in common"):
        ours.merge_databases(theirs)

    assert stored_rows(ours.path) == before


def test_databases_that_assume_other_values_are_not_merged(open_here):
    databases = open_here("ours.db"), open_here("theirs.db")
    for value, db in enumerate(databases):
        run(db)
        run(db, {**SMALL, "b": IterableVariable([0, 1])}, assume={"b": value})

    with pytest.raises(ExperimentMismatchError, match="'b' is assumed to be 0 and 1"):
        databases[0].merge_databases(databases[1])


def test_a_copy_has_the_same_blocks_and_what_is_set_aside(db, tmp_path):
    run(db)
    run(db, {**LARGE, "x": IntegerVariable(2, 4)})

    with db.export_db(tmp_path / "copy.db") as copy:
        assert points(copy) == points(db)
        assert points(copy, set_aside=True) == points(db, set_aside=True)
        assert run(copy, {**LARGE, "x": IntegerVariable(2, 4)})[1].skipped == 9


# --- files that are damaged


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE blocks SET first = 7 WHERE first = 6",
        "UPDATE blocks SET count = count + 1",
        'UPDATE blocks SET parts = \'{"lengths": [4], "boxes": []}\' WHERE first = 6',
        "UPDATE blocks SET parts = 'x' WHERE first = 6",
        "UPDATE blocks SET parts = '[]' WHERE first = 6",
        "UPDATE blocks SET kind = 'other'",
        "UPDATE blocks SET kind = 'table'",
        "UPDATE blocks SET document = '{\"x\":1}' WHERE first = 0",
        "DELETE FROM blocks WHERE first = 6",
        "UPDATE experiments SET asked_count = 1",
        "UPDATE experiments SET asked_count = 0",
        "UPDATE experiments SET asked_count = 1000",
        "UPDATE experiments SET trial_count = 13",
        "UPDATE set_aside SET count = 0",
        "UPDATE set_aside SET count = 5000",
        "INSERT INTO set_aside SELECT experiment, first + 1, 1 FROM set_aside",
    ],
)
def test_damaged_blocks_are_told_in_one_line(open_here, damage):
    with open_here("damaged.db") as db:
        run(db)
        run(db, {**LARGE, "x": IntegerVariable(2, 4)})
    with sqlite3.connect(db.path) as plain:
        plain.execute(damage)
    plain.close()

    db = open_here("damaged.db")
    for look in (
        lambda: db.get_trials_by_name("walk"),
        lambda: db.get_experiment_by_name("walk"),
        lambda: run(db, LARGE),
    ):
        with pytest.raises(CorruptDocumentError) as caught:
            look()
        assert "\n" not in str(caught.value)
