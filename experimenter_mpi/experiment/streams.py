"""The random numbers of trials: each has a stream of its own, in every mode.

Before a trial the global generators of ``random`` and ``numpy.random`` are seeded from
its id, which follows from the experiment's id and the trial's index. So a trial draws
the same numbers whatever ran before it on its rank, and no two trials draw the same.
"""

from __future__ import annotations

import sys

_MASK = 0xFFFFFFFF


def seed(key: int) -> None:
    """Seed the global generators of the modules that are loaded from 128 bits."""
    if "random" in sys.modules:
        import random  # waits where another thread is loading it just now

        random.seed(key)
    if "numpy" in sys.modules:
        # Else numpy loads it when the trial first uses it, with a seed of its own.
        import numpy.random

        numpy.random.seed(_word(key))  # noqa: NPY002 - for those who use it


def _word(key: int) -> int:
    """Return 32 bits, which numpy makes a state of in 2 us; of more it takes 14 us.

    They differ between all trials of an experiment: an index is combined with a part
    of the experiment's id and mixed as in the last step of MurmurHash3, and both can
    be undone.
    """
    word = (key ^ key >> 96) & _MASK
    word = (word ^ word >> 16) * 0x85EBCA6B & _MASK
    word = (word ^ word >> 13) * 0xC2B2AE35 & _MASK
    return word ^ word >> 16
