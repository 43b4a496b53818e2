"""The random numbers of trials: each has a stream of its own, in every mode.

The stream of trial ``number`` is numpy's ``SeedSequence(seed, spawn_key=(number,))``,
``seed`` being the experiment's. Its words are computed here without numpy, which no
worker imports by itself: the algorithm is public (M. E. O'Neill's ``seed_seq_fe``), and
numpy promises not to change it. Whatever ran before on its rank, a trial draws the same
numbers, and no two trials draw the same.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

SEED_BITS = 128
_WORD_BITS = 32
_MASK = 0xFFFFFFFF
_LANES = 4
_MIX_LEFT, _MIX_RIGHT = 0xCA01F9DD, 0x4973F715


def _hash_steps(start: int, factor: int, count: int) -> list[tuple[int, int]]:
    """Return what each step of a hash combines a word with: by xor, then by product."""
    powers = [start * pow(factor, i, 1 << _WORD_BITS) & _MASK for i in range(count + 1)]
    return [*pairwise(powers)]


# 4 of the seed's words and 12 for mixing them, then 4 for each word of the spawn key:
# up to 2 of a trial's number, and 4 of a snapshot's id.
_IN = _hash_steps(0x43B0D7E5, 0x931E8875, 16 + 4 * (2 + 4))
_KEY_STEPS = [_IN[16 + lane :: 4] for lane in range(4)]
_OUT = _hash_steps(0x8B51F9DD, 0x58F38DED, SEED_BITS // _WORD_BITS)


def generator(seed: int, number: int) -> Generator:
    """Return numpy's generator of a trial's stream, at its start."""
    from numpy.random import PCG64, Generator, SeedSequence

    return Generator(PCG64(SeedSequence(seed, spawn_key=(number,))))


def integer(seed: int, spawn_key: tuple[int, ...], bits: int) -> int:
    """Return the first bits of a stream, the lowest ones of its words in order."""
    pool, keys, value = _pool(seed), _words_of(spawn_key), 0
    for lane in range(-(-bits // _WORD_BITS)):
        word = pool[lane]
        for key, step in zip(keys, _KEY_STEPS[lane], strict=False):
            word = _mixed(word, _hashed(key, *step))
        value |= _hashed(word, *_OUT[lane]) << _WORD_BITS * lane
    return value & (1 << bits) - 1


def _first_bits(seed: int, number: int) -> int:
    """Return ``integer(seed, (number,), 64)`` in half the time: for every trial."""
    if number > _MASK:
        return integer(seed, (number,), 64)
    value = 0
    for left, xor, factor, xor_out, factor_out in _two_lanes(seed):
        key = (number ^ xor) * factor & _MASK
        word = (left - _MIX_RIGHT * (key ^ key >> 16)) & _MASK
        word = (word ^ word >> 16 ^ xor_out) * factor_out & _MASK
        value = value << _WORD_BITS | word ^ word >> 16
    return value


@lru_cache(maxsize=8)
def _two_lanes(seed: int) -> list[tuple[int, ...]]:
    pool = _pool(seed)
    return [(_MIX_LEFT * pool[i], *_KEY_STEPS[i][0], *_OUT[i]) for i in (1, 0)]


def _words_of(spawn_key: tuple[int, ...]) -> list[int]:
    words = []
    for number in spawn_key:
        words.append(number & _MASK)
        while number := number >> _WORD_BITS:
            words.append(number & _MASK)
    return words


def seed_globals(seed: int, number: int) -> None:
    """Seed the global generators of the modules that are loaded, for a trial."""
    modules = sys.modules
    if "random" in modules:
        import random  # waits where another thread is loading it just now

        random.seed(_first_bits(seed, number))
    if "numpy" in modules:
        _seed_numpy(_distinct_word(seed, number))


def seed_globals_after(seed: int, number: int, snapshot: int) -> None:
    """Seed them for a trial that goes on from the snapshot with this id."""
    words = integer(seed, (number, snapshot), 96)
    if "random" in sys.modules:
        import random

        random.seed(words >> _WORD_BITS)
    if "numpy" in sys.modules:
        _seed_numpy(words & _MASK)


def _seed_numpy(word: int) -> None:
    """Seed numpy from 32 bits, which takes 2 us; from more it takes 10 us."""
    # Else numpy loads it when the trial first uses it, with a seed of its own.
    import numpy.random

    numpy.random.seed(word)  # noqa: NPY002 - for those who use it


def _distinct_word(seed: int, number: int) -> int:
    """Return 32 bits that differ between all trials of an experiment.

    The number is combined with a part of the seed and mixed as in the last step of
    MurmurHash3, and both can be undone.
    """
    word = (number ^ _pool(seed)[0]) & _MASK
    word = (word ^ word >> 16) * 0x85EBCA6B & _MASK
    word = (word ^ word >> 13) * 0xC2B2AE35 & _MASK
    return word ^ word >> 16


@lru_cache(maxsize=8)
def _pool(seed: int) -> list[int]:
    """Mix the seed, which is the same for all trials of an experiment."""
    steps = iter(_IN)
    words = [seed >> _WORD_BITS * i & _MASK for i in range(_LANES)]
    pool = [_hashed(word, *next(steps)) for word in words]
    for source in range(_LANES):
        for target in range(_LANES):
            if source != target:
                hashed = _hashed(pool[source], *next(steps))
                pool[target] = _mixed(pool[target], hashed)
    return pool


def _hashed(word: int, xor: int, factor: int) -> int:
    word = (word ^ xor) * factor & _MASK
    return word ^ word >> 16


def _mixed(left: int, right: int) -> int:
    word = (_MIX_LEFT * left - _MIX_RIGHT * right) & _MASK
    return word ^ word >> 16
