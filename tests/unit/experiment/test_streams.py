"""Random numbers: a trial's own, whatever ran before it on its rank."""

# ruff: noqa: NPY002 - numpy's global generator is what is tested here

from __future__ import annotations

import os
import random
import sys
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import (
    ConfigurationError,
    OutsideTrialError,
    TrialInterrupted,
)
from experimenter_mpi.experiment import streams
from experimenter_mpi.experiment.experiment import Experiment, TrialIds
from experimenter_mpi.experiment.variables import IterableVariable
from experimenter_mpi.trial.attempt import InProcess
from experimenter_mpi.trial.context import (
    Context,
    get_latest_snapshot_from_global_database,
    get_rng,
    get_seed,
    save_snapshot_in_global_database,
)
from support.fakes import InlineArrays, ListLedger

ID = "5b7c5e60-4a5e-4c3e-9d61-0a3d4f1f8a11"
SEED = 20_260


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
    streams.seed_globals(SEED, 3)

    assert random.random() != np.random.random()


def test_told_not_to_it_leaves_them_alone():
    random.seed(1)
    np.random.seed(1)
    expected = [drawn() for _ in range(5)]
    random.seed(1)
    np.random.seed(1)

    assert expected == list(draws_of(range(5), reseed=False).values())


@pytest.mark.parametrize("seed", [0, 1, uuid.UUID(ID).int])
def test_no_two_trials_of_an_experiment_have_the_same_seed(seed):
    near = {streams._distinct_word(seed, index) for index in range(100_000)}
    far = {streams._distinct_word(seed, index * 9973) for index in range(100_000)}

    assert 100_000 == len(near) == len(far)
    assert max(near) < 2**32


def test_nothing_is_imported(monkeypatch):
    for name in ("numpy", "random"):
        monkeypatch.delitem(sys.modules, name)
    streams.seed_globals(1, 0)
    streams.seed_globals_after(1, 0, 7)

    assert not {"numpy", "random"} & sys.modules.keys()


@pytest.mark.skipif(not hasattr(np.random, "set_bit_generator"), reason="an old numpy")
def test_another_kind_of_generator_in_its_place_is_seeded_too():
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        streams.seed_globals(7, 0)
        first = np.random.random()
        streams.seed_globals(7, 0)

        assert first == np.random.random()
    finally:
        np.random.set_bit_generator(before)


# --- the trial's own stream


def of_numpy(seed, *spawn_key):
    return np.random.SeedSequence(seed, spawn_key=spawn_key)


@given(
    seed=st.integers(0, 2**128 - 1) | st.integers(0, 2**33),
    number=st.integers(0, 2**48 - 1),
    snapshot=st.none() | st.integers(0, 2**128 - 1),
    bits=st.integers(1, 128),
)
def test_the_words_are_those_of_numpy(seed, number, snapshot, bits):
    key = (number,) if snapshot is None else (number, snapshot)
    words = of_numpy(seed, *key).generate_state(4).astype("<u4").tobytes()
    expected = int.from_bytes(words, "little") % 2**bits

    assert expected == streams.integer(seed, key, bits)
    assert streams.integer(seed, (number,), 64) == streams._first_bits(seed, number)


def all_of(function, order=range(5), **options):
    """Return what each trial gets from a function that it calls."""
    found = {}

    def ask(configuration, trial_id):
        found[configuration["n"]] = function()
        return {}

    trials = trials_of(ask, **options)
    for index in order:
        assert trials.run(index).outcome.failure is None
    return found


def test_a_trial_has_the_generator_that_its_seed_and_number_say():
    expected = {
        n: np.random.Generator(np.random.PCG64(of_numpy(SEED, n))).random()
        for n in range(5)
    }

    assert expected == all_of(lambda: get_rng().random(), seed=SEED)
    assert expected == all_of(lambda: get_rng().random(), [3, 1, 4, 0, 2], seed=SEED)


def test_asking_again_goes_on_in_the_same_stream():
    in_parts = all_of(lambda: [get_rng().random(), get_rng().random()])

    assert in_parts == all_of(lambda: list(get_rng().random(2)))


def test_each_attempt_starts_the_stream_again():
    drawn = []

    def ask(configuration, trial_id):
        drawn.append(get_rng().random())
        raise TrialInterrupted

    trials = trials_of(ask)
    for index in (2, 2, 3):
        trials.run(index)

    assert drawn[0] == drawn[1] != drawn[2]


def test_a_trials_seed_is_a_number_of_the_same_stream():
    seeds = all_of(get_seed, seed=SEED)

    (word,) = of_numpy(SEED, 4).generate_state(1, np.uint64)
    assert word == seeds[4]
    assert 5 == len(set(seeds.values()))
    assert {n: seed % 2**31 for n, seed in seeds.items()} == all_of(
        lambda: get_seed(31), seed=SEED
    )


def test_a_seed_draws_nothing_and_stays_the_same():
    def ask():
        first = get_seed()
        number = get_rng().random()
        assert first == get_seed()
        return number

    assert all_of(ask) == all_of(lambda: get_rng().random())


@pytest.mark.parametrize("bits", [0, -1, 129, 1.5, "64", True, None])
def test_bits_that_are_not_a_number_from_1_to_128_are_refused(bits):
    def ask():
        with pytest.raises(ConfigurationError, match=r"^bits must be a whole number"):
            get_seed(bits)

    assert 5 == len(all_of(ask))


def test_without_a_seed_it_is_the_id():
    by_id = all_of(get_seed)

    assert by_id == all_of(get_seed, seed=uuid.UUID(ID).int)
    assert by_id != all_of(get_seed, seed=1)


def test_a_seed_is_also_what_the_global_generators_follow_from():
    assert draws_of(range(5)) == draws_of(range(5), seed=uuid.UUID(ID).int)
    assert not set(draws_of(range(5)).values()) & set(
        draws_of(range(5), seed=SEED).values()
    )


def test_the_global_generator_of_random_is_that_of_the_trials_seed():
    assert all_of(random.random) == all_of(lambda: random.Random(get_seed()).random())


def test_a_trial_whose_globals_are_left_alone_has_a_stream():
    assert all_of(lambda: get_rng().random()) == all_of(
        lambda: get_rng().random(), reseed=False
    )


@pytest.mark.parametrize("seed", [-1, 2**128, 1.0, "1", True, [1, 2], np.float64(3)])
def test_a_seed_that_is_not_an_integer_below_2_to_the_128_is_refused(seed):
    with pytest.raises(ConfigurationError, match=r"^seed must be an integer from 0 to"):
        Experiment("draws", function=drawn, configuration={}, seed=seed)


@pytest.mark.parametrize("seed", [0, 2**128 - 1, np.uint32(7)])
def test_a_seed_is_kept_as_a_plain_integer(seed):
    experiment = Experiment("draws", function=drawn, configuration={}, seed=seed)

    assert seed == experiment.seed
    assert type(experiment.seed) is int


def test_outside_a_trial_there_is_no_stream_not_even_the_last_one():
    all_of(get_rng)

    for ask in (get_rng, get_seed):
        with pytest.raises(OutsideTrialError, match="only inside a running trial"):
            ask()


def test_a_process_that_a_trial_forks_has_no_stream():
    """Each of several would draw the same numbers."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")

    def ask():
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                get_rng()
            except OutsideTrialError as error:
                os.write(writer, str(error).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            return pipe.read()

    assert "get_rng().spawn(n)" in all_of(ask, [0])[0]


def test_a_generator_that_is_saved_goes_on_where_it_was():
    drawn = []

    def ask(configuration, trial_id):
        snapshot = get_latest_snapshot_from_global_database(trial_id)
        rng = snapshot.state["rng"] if snapshot else get_rng()
        drawn.append(rng.random())
        save_snapshot_in_global_database(trial_id, {"rng": rng})
        raise TrialInterrupted

    trials = trials_of(ask)
    for _ in range(4):
        trials.run(1)

    assert list(all_of(lambda: get_rng().random(4), [1])[1]) == drawn


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
