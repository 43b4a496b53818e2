"""How long a sweep's trials take: shapes that real sweeps have, drawn by a seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Shape = Callable[[int, float, random.Random], list[float]]


def constant(trials: int, mean: float, _: random.Random) -> list[float]:
    return [mean] * trials


def noisy(trials: int, mean: float, rng: random.Random) -> list[float]:
    """Return the same work on nodes that are not quite the same."""
    return [mean * rng.uniform(0.8, 1.2) for _ in range(trials)]


def heavy_tailed(trials: int, mean: float, rng: random.Random) -> list[float]:
    """Return iterations until convergence: most are short, few take as long as all."""
    alpha = 1.5
    return [mean / 3 * rng.paretovariate(alpha) for _ in range(trials)]


def bimodal(trials: int, mean: float, rng: random.Random) -> list[float]:
    """Return trials of which one in a hundred does not end early."""
    return [mean * (50 if rng.random() < 0.01 else 0.5) for _ in range(trials)]


def growing(trials: int, mean: float, _: random.Random) -> list[float]:
    """Return a size that grows along the sweep, at a cost of its third power."""
    return [4 * mean * ((i + 1) / trials) ** 3 for i in range(trials)]


def shrinking(trials: int, mean: float, rng: random.Random) -> list[float]:
    return growing(trials, mean, rng)[::-1]


SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (constant, noisy, heavy_tailed, bimodal, growing, shrinking)
}


def workload(shape: str, trials: int, mean: float, seed: int = 1) -> list[float]:
    """Return durations of this shape; the same for the same seed."""
    return SHAPES[shape](trials, mean, random.Random(seed))
