"""Random numbers: a trial's own, whatever ran before it on its rank."""

# ruff: noqa: NPY002 - numpy's global generator is what is tested here

from __future__ import annotations

import random
import sys
import uuid

import numpy as np
import pytest

from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import TrialInterrupted
from experimenter_mpi.experiment import streams
from experimenter_mpi.experiment.experiment import Experiment, TrialIds
from experimenter_mpi.experiment.variables import IterableVariable
from experimenter_mpi.trial.attempt import InProcess
from experimenter_mpi.trial.context import (
    Context,
    get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
)
from support.fakes import InlineArrays, ListLedger

ID = "5b7c5e60-4a5e-4c3e-9d61-0a3d4f1f8a11"


@pytest.fixture(autouse=True)
def _as_before():
    """Leave the generators of this process as other tests know them."""
    before = random.getstate(), np.random.get_state()
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])


def drawn():
    return random.gauss(0, 1), np.random.standard_normal(), np.random.random()


def trials_of(function, **options):
    """Return what runs trials 0 to 4 of an experiment."""
    configuration = {"n": IterableVariable([*range(5)]), **options.pop("others", {})}
    experiment = Experiment(
        "draws", function=function, configuration=configuration, id=ID, **options
    )
    ledger = ListLedger(experiment)
    context = Context("draws", ledger, InlineArrays(), Drain())
    return InProcess(experiment, function, context)


def draws_of(order, **options):
    """Run trials in this order; return what each has drawn."""
    found = {}

    def draw(configuration, trial_id):
        found[configuration["n"]] = drawn()
        return {}

    trials = trials_of(draw, **options)
    for index in order:
        assert "finished" == trials.run(index).outcome.status
    return found


def test_a_trial_draws_the_same_whatever_ran_before_it():
    whole = draws_of(range(5))

    assert 5 == len(set(whole.values()))
    assert whole == draws_of([4, 2, 0, 1, 3])
    assert whole[3] == draws_of([3])[3]


def test_the_two_generators_draw_different_numbers():
    """Both are Mersenne Twisters, which are equal if they are seeded alike."""
    streams.seed(uuid.UUID(ID).int)

    assert random.random() != np.random.random()


def test_told_not_to_it_leaves_them_alone():
    random.seed(1)
    np.random.seed(1)
    expected = [drawn() for _ in range(5)]
    random.seed(1)
    np.random.seed(1)

    assert expected == list(draws_of(range(5), reseed=False).values())


@pytest.mark.parametrize("experiment_id", [ID, str(uuid.UUID(int=1))])
def test_no_two_trials_of_an_experiment_have_the_same_seed(experiment_id):
    ids = TrialIds(uuid.UUID(experiment_id))
    near = {streams._word(ids[index].int) for index in range(100_000)}
    far = {streams._word(ids[index * 9973].int) for index in range(100_000)}

    assert 100_000 == len(near) == len(far)
    assert max(near) < 2**32


def test_nothing_is_imported(monkeypatch):
    for name in ("numpy", "random"):
        monkeypatch.delitem(sys.modules, name)
    streams.seed(1)

    assert not {"numpy", "random"} & sys.modules.keys()


@pytest.mark.skipif(not hasattr(np.random, "set_bit_generator"), reason="an old numpy")
def test_another_kind_of_generator_in_its_place_is_seeded_too():
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        streams.seed(7)
        first = np.random.random()
        streams.seed(7)

        assert first == np.random.random()
    finally:
        np.random.set_bit_generator(before)


# --- trials that go on from a snapshot


def test_a_trial_that_goes_on_does_not_draw_again_what_it_drew_before():
    found = []

    def draw(configuration, trial_id):
        snapshot = get_latest_snapshot_from_global_database(trial_id)
        found.append(drawn())
        if snapshot is None:
            save_snapshot_in_global_database(trial_id, {})
            raise TrialInterrupted
        return {}

    trials = trials_of(draw)
    for index in (0, 1, 0, 1, 0, 1):
        trials.run(index)

    assert 4 == len(set(found))
    assert found[:2] == list(draws_of([0, 1]).values())
    assert found[2:4] == found[4:]  # the same snapshot, the same numbers


def test_a_trial_that_looks_at_its_own_new_snapshot_draws_as_it_would():
    """Its snapshots are new ones each time, and its numbers must not be."""
    found = {}

    def draw(configuration, trial_id):
        save_snapshot_in_global_database(trial_id, {})
        get_latest_snapshot_from_global_database(trial_id)
        found[configuration["n"]] = drawn()
        return {}

    trials = trials_of(draw)
    trials.run(0)

    assert draws_of([0]) == found


def test_looking_twice_or_at_another_trials_snapshot_changes_nothing():
    ids, found = TrialIds(uuid.UUID(ID)), {}

    def draw(configuration, trial_id):
        get_latest_snapshot_from_global_database(ids[0])
        if configuration["n"] == 0:
            random.random()
        get_latest_snapshot_from_global_database(trial_id)
        found[configuration["n"]] = drawn()
        return {}

    trials = trials_of(draw)
    trials._context.services.save_snapshot(
        str(ids[0]), trials._context.encode({}), None
    )
    for index in (0, 1):
        trials.run(index)
    random.random()

    assert found[1] == draws_of([1])[1]
    assert found[0] != draws_of([0])[0]


def test_told_not_to_a_trial_that_goes_on_is_left_alone():
    ids, found = TrialIds(uuid.UUID(ID)), []

    def draw(configuration, trial_id):
        random.seed(7)
        assert get_latest_snapshot_from_global_database(trial_id) is not None
        found.append(random.random())
        return {}

    trials = trials_of(draw, reseed=False)
    trials._context.services.save_snapshot(
        str(ids[0]), trials._context.encode({}), None
    )
    trials.run(0)

    assert [random.Random(7).random()] == found


# --- configurations that cannot be copied in the end


class Large:
    """Stands for what needs more memory than there is, when a trial begins."""

    room = True

    def __deepcopy__(self, memo):
        if not Large.room:
            raise MemoryError("no room for a copy")
        return self.__class__()


def test_a_configuration_that_cannot_be_copied_for_a_trial_is_its_failure(monkeypatch):
    trials = trials_of(lambda *_: {}, others={"large": Large()})
    monkeypatch.setattr(Large, "room", False)
    outcome = trials.run(3).outcome

    assert (3, "failed") == (outcome.index, outcome.status)
    assert ("MemoryError", "no room for a copy") == outcome.failure[:2]
    assert "__deepcopy__" in outcome.failure.traceback
