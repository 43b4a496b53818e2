"""Whether an experiment is the stored one, and what is said when it is not."""

from __future__ import annotations

import numpy as np
import pytest

from experimenter_mpi import (
    Experiment,
    ExperimentMismatchError,
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    PickledValueWarning,
    PickleRefusedError,
    RepeatVariable,
    execute,
    restore_from_db,
)
from experimenter_mpi.database.handle import session_of
from unit.database.making import heat


def mismatch(db, **configuration):
    with pytest.raises(ExperimentMismatchError) as caught:
        db.restore_from_db(heat(**configuration))
    return str(caught.value)


def test_a_new_name_comes_back_unchanged(any_db):
    experiment = heat()
    before = experiment.id

    assert restore_from_db(any_db, experiment) is experiment
    assert experiment.id == before


def test_the_same_experiment_gets_the_stored_id_and_keeps_its_functions(db, stored):
    def run_heat(configuration, trial_id):
        return {}

    run_heat.__qualname__ = "run_heat"
    again = Experiment("heat", configuration=stored.configuration, function=run_heat)
    restored = db.restore_from_db(again)

    assert restored.id == stored.id
    assert restored.function is run_heat
    assert restored[5].id == db.get_trials_by_name("heat")[5].id


def test_enrolling_again_restores(db, stored):
    again = heat()
    session_of(db).experiments.enrol(again)

    assert again.id == stored.id
    assert len(db.get_trials_by_name("heat")) == 6


def draw(configuration, trial_id):
    configuration["seen"].append(trial_id)
    return {"drawn": configuration["rng"].random()}


def drawing(seed=2026):
    rng = np.random.default_rng(seed)
    configuration = {"rng": rng, "seen": [], "n": RepeatVariable(1, 3)}
    return Experiment("draws", function=draw, configuration=configuration)


def test_an_experiment_whose_trials_change_what_it_holds_is_still_the_same(db):
    """Its state when it was made is what counts, however often it was run."""
    experiment = drawing()
    execute(experiment, db)
    for trial in db.get_trials_by_name("draws"):
        db.mark_trial_as_incomplete(trial.id)
    before = db.get_trials_by_name("draws")[0].configuration

    assert 3 == execute(experiment, db).finished
    assert 3 == execute(drawing(), db).skipped
    assert before["seen"] == []
    assert {before["rng"].random()} == {
        trial.results["drawn"] for trial in db.get_trials_by_name("draws")
    }


def test_a_generator_in_another_state_is_told_of_in_words(db):
    """Two that are made without a seed look alike, but for where they lie."""
    session_of(db).experiments.enrol(drawing())
    with pytest.raises(
        ExperimentMismatchError,
        match=r"configuration: rng: Generator\(PCG64\) -> the same, in another state\.",
    ):
        db.restore_from_db(drawing(seed=None))


def test_other_words_for_the_same_trials_are_the_same(db, stored):
    again = heat(seed=RepeatVariable(7, 2), n_steps=10, N=IterableVariable([1, 2, 3]))
    assert db.restore_from_db(again).id == stored.id
    # There seed is the outer loop, but trials keep the numbers that they have.
    assert [trial.configuration for trial in again] == [
        trial.configuration for trial in db.get_trials_by_name("heat")
    ]

    same = heat(
        N=IterableVariable([1, 2, 3]), seed=IterableVariable([7, 7]), n_steps=10
    )
    assert db.restore_from_db(same).id == stored.id


def test_the_message_names_each_difference_with_both_values(db, stored, tmp_path):
    said = mismatch(db, n_steps=20, N=IntegerVariable(1, 5), extra={"on": True})

    assert said == (
        f"experiment 'heat' is stored in {tmp_path}/heat.db with another "
        "configuration: "
        "n_steps: 10 -> 20; N: IntegerVariable(1, 3) -> IntegerVariable(1, 5); "
        "seed: RepeatVariable(7, 2) -> (removed); extra.on: (new) -> True. "
        "Rerun with --extend (extend=True) to go on: 5 new trials, 0 kept, 6 set "
        "aside. Or give it another name, to keep both apart; or rerun with --overwrite "
        "(force_overwrite=True), which deletes what is stored."
    )


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (10, 10.0),
        (LinearVariable(4, 12, 5), IterableVariable([4, 6.0, 8, 10, 12.0])),
        (LogLinearVariable(1, 100, 3), IterableVariable([1, 10, 100])),
        (IterableVariable([1, 2, 3]), LinearVariable(1.0, 3, 3)),
        (IntegerVariable(0, 4, 2), LinearVariable(0, 4, 3)),
        (LinearVariable(0, 2**64, 3), IterableVariable([0, 2**63, 2**64])),
        ({"a": [1, (2, 0)]}, {"a": [1.0, (2.0, -0.0)]}),
        (10**5000, 10**5000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_are_compared_by_value(db, before, now):
    """Linear variables of whole numbers were integers once, and are floats now."""
    experiment = heat(n=before)
    session_of(db).experiments.enrol(experiment)

    assert experiment.id == db.restore_from_db(heat(n=now)).id


@pytest.mark.parametrize(
    ("before", "now"),
    [
        *((1, True), (1, "1"), (0, None), (1, 1 + 1e-15), (2**53, 2**53 + 1)),
        (10**5000, 10**5000 + 1),  # of more digits than Python prints
        *((None, float("nan")), (float("inf"), float("nan")), (10**400, float("inf"))),
        (LinearVariable(4, 12, 5), LinearVariable(4, 12, 6)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_other_values(db, before, now):
    session_of(db).experiments.enrol(heat(n=before))
    with pytest.raises(ExperimentMismatchError, match="configuration: n: "):
        db.restore_from_db(heat(n=now))


def test_functions_must_match_too(db, stored):
    other = Experiment(
        "heat", configuration=stored.configuration, function_name="run_cold"
    )
    with pytest.raises(
        ExperimentMismatchError, match="function_name: run_heat -> run_cold"
    ):
        db.restore_from_db(other)


def test_long_values_are_cut_and_many_differences_counted(db):
    session_of(db).experiments.enrol(
        heat(text="a" * 500, **{f"key{i}": i for i in range(20)})
    )
    said = mismatch(db, text="b" * 500, **{f"key{i}": -i - 1 for i in range(20)})

    assert "text: 'aaaa" in said and "and 11 more" in said
    assert len(said) < 1000


def test_arrays_are_compared_by_content(db):
    experiment = heat(start=np.arange(4.0), N=IntegerVariable(1, 2))
    session_of(db).experiments.enrol(experiment)
    same = heat(start=np.arange(4.0), N=IntegerVariable(1, 2))

    assert db.restore_from_db(same).id == experiment.id
    assert "start: array([0., 1., 2., 3.]) -> array([1., 2., 3., 4.])" in mismatch(
        db, start=np.arange(4.0) + 1, N=IntegerVariable(1, 2)
    )


def test_what_had_to_be_pickled_goes_on_without_reading_it(db):
    with pytest.warns(PickledValueWarning):
        session_of(db).experiments.enrol(heat(thing=frozenset, N=IntegerVariable(1, 2)))

    session_of(db).experiments.enrol(heat(thing=frozenset, N=IntegerVariable(1, 2)))
    with pytest.raises(PickleRefusedError, match="configuration of experiment 'heat'"):
        db.restore_from_db(heat(thing=frozenset, N=IntegerVariable(1, 3)))


def test_matched_values_that_differ_in_one_place_are_another_experiment(db):
    session_of(db).experiments.enrol(heat(seed=MatchIterableVariable([1, 2, 3])))

    assert "seed: MatchIterableVariable" in mismatch(
        db, seed=MatchIterableVariable([1, 2, 4])
    )


def test_a_mismatch_leaves_the_experiment_as_it_was(db, stored):
    other = heat(n_steps=11)
    before = other.id
    with pytest.raises(ExperimentMismatchError):
        session_of(db).experiments.enrol(other)

    assert other.id == before
    assert db.get_experiment_by_name("heat").id == stored.id
