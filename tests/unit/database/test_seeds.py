"""The seed of an experiment's random streams: stored once, and kept."""

from __future__ import annotations

import sqlite3
import uuid

import pytest

from experimenter_mpi import (
    Experiment,
    ExperimentMismatchError,
    IntegerVariable,
    execute,
    get_seed,
    merge_databases,
    restore_from_db,
)
from experimenter_mpi.database.handle import session_of


def draw(configuration, trial_id):
    return {"seed": get_seed()}


def drawing(**options):
    configuration = {"n": IntegerVariable(1, 4)}
    return Experiment("draws", configuration=configuration, function=draw, **options)


def enrol(db, experiment, *, force_overwrite=False, id_by_content=False):
    session_of(db).experiments.enrol(
        experiment, force_overwrite=force_overwrite, id_by_content=id_by_content
    )


def run(db, experiment, **options):
    """Run an experiment; return the seeds of its trials."""
    execute(experiment, db, **options)
    return [trial.results["seed"] for trial in db.get_trials_by_name("draws")]


def test_a_given_seed_is_kept_where_none_is_given(any_db):
    enrol(any_db, drawing(seed=5))
    again = drawing()

    assert 4 == len(set(run(any_db, again)))
    assert 5 == again.seed == any_db.get_experiment_by_name("draws").seed
    assert 5 == restore_from_db(any_db, drawing()).seed


def test_without_one_the_seed_of_the_first_run_is_kept(open_here):
    with open_here() as db:
        first = drawing()
        enrol(db, first)
    db = open_here()

    assert first.id.int == first.seed == db.get_experiment_by_name("draws").seed
    assert drawing().seed != restore_from_db(db, drawing()).seed == first.seed


def test_the_seed_of_the_first_run_is_written_down(open_here, tmp_path):
    with open_here() as db:
        first = drawing()
        enrol(db, first)
    plain = sqlite3.connect(tmp_path / "heat.db")
    ((text,),) = plain.execute("SELECT seed FROM experiments")
    plain.close()

    assert str(first.seed) == text


@pytest.mark.parametrize("stored", [{"seed": 5}, {"id": uuid.UUID(int=5)}])
def test_another_seed_is_another_experiment_and_both_are_named(any_db, stored):
    enrol(any_db, drawing(**stored))

    for attempt in (enrol, restore_from_db):
        with pytest.raises(ExperimentMismatchError, match="seed: 5 -> 7"):
            attempt(any_db, drawing(seed=7))
    enrol(any_db, drawing(seed=5))


def test_overwriting_takes_the_new_seed(any_db):
    enrol(any_db, drawing(seed=5))
    enrol(any_db, drawing(seed=7), force_overwrite=True)

    assert 7 == any_db.get_experiment_by_name("draws").seed


def test_a_database_of_before_goes_on_with_the_id(open_here, tmp_path):
    with open_here() as db:
        first = drawing()
        enrol(db, first)
    plain = sqlite3.connect(tmp_path / "heat.db")
    with plain:
        plain.execute("UPDATE experiments SET seed = NULL")
    plain.close()

    assert first.id.int == restore_from_db(open_here(), drawing()).seed


def test_shares_in_several_databases_agree(open_here):
    one, two, whole = open_here("1.db"), open_here("2.db"), open_here("whole.db")
    execute(drawing(), one, share=(1, 2))
    execute(drawing(), two, share=(2, 2))
    enrol(whole, drawing(), id_by_content=True)
    merge_databases(one, two)

    assert run(whole, drawing()) == run(one, drawing())


def test_shares_with_another_seed_have_other_ids(open_here):
    one, two = open_here("1.db"), open_here("2.db")
    for db, seed in ((one, 1), (two, 2)):
        enrol(db, drawing(seed=seed), id_by_content=True)

    assert one.get_experiments()[0].id != two.get_experiments()[0].id


def test_export_and_merge_keep_it(open_here, tmp_path):
    db, empty = open_here(), open_here("empty.db")
    enrol(db, drawing(seed=5))
    merge_databases(empty, db)

    with db.export_db(tmp_path / "export.db") as exported:
        assert 5 == exported.get_experiment_by_name("draws").seed
    assert 5 == empty.get_experiment_by_name("draws").seed


@pytest.mark.parametrize(("ours", "theirs"), [(5, 7), (None, 7), (5, None)])
def test_results_of_another_seed_are_not_merged(open_here, ours, theirs):
    one, two = open_here("1.db"), open_here("2.db")
    enrol(one, drawing(id=uuid.UUID(int=3), seed=ours))
    enrol(two, drawing(id=uuid.UUID(int=4), seed=theirs))

    with pytest.raises(ExperimentMismatchError) as caught:
        merge_databases(one, two)

    assert f"seed: {ours or 3} -> {theirs or 4}" in str(caught.value)


def test_without_seeds_results_of_two_runs_are_merged_as_before(open_here):
    one, two = open_here("1.db"), open_here("2.db")
    execute(drawing(), one, share=(1, 4))
    theirs = run(two, drawing())
    merge_databases(one, two)

    ours = [trial.results["seed"] for trial in one.get_trials_by_name("draws")]
    assert theirs[1:] == ours[1:]
