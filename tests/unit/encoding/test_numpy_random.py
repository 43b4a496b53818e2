"""Random generators in documents: restored, they draw what they would have drawn."""

from __future__ import annotations

import numpy as np
import pytest

from experimenter_mpi.encoding import numpy_random as generators
from experimenter_mpi.encoding.codec import encode
from support.values import round_trip

KINDS = [getattr(np.random, name) for name in generators._BIT_GENERATORS]


def draws(generator):
    """Draw in ways that use every part of a state; halves of words are kept."""
    small = generator.integers(0, 9, 3, dtype=np.uint32)
    return [*small, *generator.normal(size=700), *generator.integers(0, 2**63, 2)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 2**200, [1, 2**40], (5,), np.arange(3)])
def test_a_generator_goes_on_identically_and_so_do_its_children(kind, seed):
    generator = np.random.Generator(kind(seed))
    generator.bit_generator._seed_seq.spawn(2)
    draws(generator)
    copy = round_trip({"rng": generator})["rng"]

    assert draws(generator) == draws(copy)
    child, twin = (g.bit_generator._seed_seq.spawn(1)[0] for g in (generator, copy))
    assert repr(child.generate_state(4)) == repr(twin.generate_state(4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bit_generator_and_its_jumped_one_go_on(kind):
    source = kind(3)
    source = source.jumped() if hasattr(source, "jumped") else source
    copy = round_trip(source)

    assert type(source) is type(copy)
    assert source.random_raw(9).tolist() == copy.random_raw(9).tolist()


def test_generators_without_a_seed_sequence_go_on():
    legacy, keyed = (
        np.random.RandomState(5),
        np.random.Generator(np.random.Philox(key=9)),
    )
    legacy.normal()
    copy, keyed_copy = round_trip([legacy, keyed])

    assert legacy.normal(size=9).tolist() == copy.normal(size=9).tolist()
    assert draws(keyed) == draws(keyed_copy)


def test_a_seed_sequence_spawns_on():
    seed = np.random.SeedSequence(None, spawn_key=(1, 2), pool_size=8)
    seed.spawn(3)
    copy = round_trip(seed)

    assert seed.state == copy.state
    assert [str(s) for s in seed.spawn(2)] == [str(s) for s in copy.spawn(2)]


class Mine(np.random.PCG64):
    """A kind that is not in the list, though it derives from one that is."""


def test_a_generator_of_another_kind_is_left_to_pickle():
    for value in (
        Mine(1),
        np.random.Generator(Mine(1)),
        np.random.RandomState(Mine(1)),
    ):
        (path_and_type,) = encode({"rng": value}).pickled

        assert path_and_type[0] == "rng"
