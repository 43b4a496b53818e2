"""Compare a finished Ising sweep with the exact solution.

    python report.py experiments/experiments.db

The magnetisation of the infinite lattice is known (Onsager 1949, Yang 1952). Below the
critical temperature a large periodic lattice must agree with it. Above, |m| is not
zero on a finite lattice, and no comparison is made.
"""

import sys
from itertools import groupby
from math import log, nan, sinh, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experimenter_mpi import ExperimenterError, Trial, get_trials_by_name, open_db

CRITICAL_TEMPERATURE = 2 / log(1 + sqrt(2))
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


class Point(NamedTuple):
    """What the replicas of one temperature say together."""

    temperature: float
    magnetisation: float
    magnetisation_error: float
    energy: float
    energy_error: float
    spins: np.ndarray

    @property
    def deviation(self) -> float:
        """Distance from the exact magnetisation in error bars; NaN above critical."""
        difference = self.magnetisation - exact_magnetisation(self.temperature)
        return difference / self.magnetisation_error


def exact_magnetisation(temperature: float) -> float:
    """Return the magnetisation of the infinite lattice, NaN where it has none."""
    if temperature >= CRITICAL_TEMPERATURE:
        return nan
    return (1 - sinh(2 / temperature) ** -4) ** (1 / 8)


def read_points(database: str) -> list[Point]:
    """Read the finished trials, one point per temperature."""
    path = Path(database)
    with open_db(path.name, path.parent, read_only=True) as db:
        trials = get_trials_by_name(db, "ising")
    finished = [trial for trial in trials if trial.has_finished]
    finished.sort(key=temperature_of)
    return [combine(t, list(group)) for t, group in groupby(finished, temperature_of)]


def temperature_of(trial: Trial) -> float:
    """Return the temperature a trial was run at."""
    return trial.configuration["temperature"]


def combine(temperature: float, replicas: list[Trial]) -> Point:
    """Average replicas of equal length, each with the same weight.

    Weights from their error bars would be wrong here: a replica that missed the rare
    large fluctuations has the smaller error bar, and the larger magnetisation.
    """

    def mean(quantity: str) -> float:
        return sum(trial.results[quantity] for trial in replicas) / len(replicas)

    def error(quantity: str) -> float:
        variance = sum(trial.results[f"{quantity}_error"] ** 2 for trial in replicas)
        return sqrt(variance) / len(replicas)

    return Point(
        temperature,
        mean("magnetisation"),
        error("magnetisation"),
        mean("energy"),
        error("energy"),
        replicas[0].results["spins"],
    )


def table(points: list[Point]) -> list[str]:
    """Write one line per temperature."""
    lines = ["    T        |m|    error      exact   sigmas       energy    error"]
    for point in points:
        exact, deviation = f"{'-':>9}", f"{'-':>7}"
        if point.temperature < CRITICAL_TEMPERATURE:
            exact = f"{exact_magnetisation(point.temperature):9.6f}"
            deviation = f"{point.deviation:+7.2f}"
        lines.append(
            f"{point.temperature:5.2f}  {point.magnetisation:9.6f} "
            f"{point.magnetisation_error:8.6f}  {exact}  {deviation}    "
            f"{point.energy:9.6f} {point.energy_error:8.6f}"
        )
    return lines


def verdict(points: list[Point]) -> str:
    """Say how well the temperatures below the critical one agree."""
    deviations = [p.deviation for p in points if p.temperature < CRITICAL_TEMPERATURE]
    agreeing = sum(abs(deviation) < 2 for deviation in deviations)
    chi_squared = sum(deviation**2 for deviation in deviations)
    return (
        f"{agreeing} of {len(deviations)} temperatures below T = "
        f"{CRITICAL_TEMPERATURE:.3f} agree with the exact magnetisation "
        f"within 2 sigma (chi^2 = {chi_squared:.1f})"
    )


def pictures(points: list[Point]) -> list[str]:
    """Draw the spins just below and just above the critical temperature."""
    below = [p for p in points if p.temperature < CRITICAL_TEMPERATURE][-1:]
    above = [p for p in points if p.temperature >= CRITICAL_TEMPERATURE][:1]
    drawings = [picture(point) for point in below + above]
    return ["   ".join(rows).rstrip() for rows in zip(*drawings, strict=True)]


def picture(point: Point) -> list[str]:
    """Draw a dot for each spin that points down, eight to a Braille character."""
    rows, columns = point.spins.shape[0] // 4, point.spins.shape[1] // 2
    cells = (point.spins[: 4 * rows] < 0).reshape(rows, 4, columns, 2)
    codes = 0x2800 + np.einsum("rycx,yx->rc", cells, DOTS)
    title = f"T = {point.temperature}".ljust(columns)
    return [title, *("".join(map(chr, row)) for row in codes)]


def main(database: str) -> None:
    """Print the table, the pictures and the verdict."""
    points = read_points(database)
    if not points:
        sys.exit(f"no trial of 'ising' in {database} has finished yet")
    sys.stdout.reconfigure(errors="replace")  # not every terminal knows Braille
    print("\n".join([*table(points), "", *pictures(points), "", verdict(points)]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python report.py DATABASE")
    try:
        main(sys.argv[1])
    except ExperimenterError as error:
        sys.exit(str(error))
