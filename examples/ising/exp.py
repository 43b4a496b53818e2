"""The two-dimensional Ising model: a temperature sweep that may be interrupted.

    mpirun -n 4 python -m experimenter_mpi run exp.py
    python report.py experiments/experiments.db

Metropolis sweeps keep a periodic square lattice of L x L spins at a temperature, given
in units of J/k. A snapshot holds all a trial needs to go on: spins, random generator
and the measurements so far. Stop the run (Ctrl-C, or the end of the walltime) and start
it again: the results are the same to the last bit.
"""

from typing import Any
from uuid import UUID

import numpy as np

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    TrialInterrupted,
    get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
    stop_requested,
)


def ising(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Measure magnetisation and energy per spin at one temperature."""
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    chain = snapshot.state if snapshot else ordered_start(configuration)
    sublattices = checkerboard(configuration["L"])
    skipped = configuration["equilibration_blocks"]

    first = len(chain["energy"])
    for block in range(first, skipped + configuration["blocks"]):
        run_block(chain, sublattices, configuration)
        stopping = stop_requested()
        if stopping or (block + 1) % configuration["snapshot_every"] == 0:
            save_snapshot_in_global_database(trial_id, chain, f"sweep {chain['sweep']}")
        if stopping:
            raise TrialInterrupted

    m, m_error = mean_and_error(chain["magnetisation"][skipped:])
    energy, energy_error = mean_and_error(chain["energy"][skipped:])
    return {
        "magnetisation": m,
        "magnetisation_error": m_error,
        "energy": energy,
        "energy_error": energy_error,
        "spins": chain["spins"].reshape(configuration["L"], -1),
    }


def ordered_start(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return a chain before its first sweep: all spins up, nothing measured."""
    # Seeded by the seed alone, all temperatures would draw the same random numbers
    # and share their luck; deviations from theory would not be independent.
    entropy = [configuration["seed"], round(1000 * configuration["temperature"])]
    return {
        "sweep": 0,
        "spins": np.ones(configuration["L"] ** 2, dtype=np.int8),
        "rng": np.random.default_rng(entropy),
        "magnetisation": [],
        "energy": [],
    }


def checkerboard(length: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return, for black and for white, the sites and the four neighbours of each.

    All neighbours of a black site are white, so the spins of one colour do not feel
    each other and may be updated at once. Across the periodic edge this is true for
    an even length only.
    """
    if length % 2:
        raise ValueError(f"a periodic checkerboard needs an even L, not {length}")
    site = np.arange(length**2).reshape(length, length)
    neighbours = np.stack([np.roll(site, s, axis) for s in (1, -1) for axis in (0, 1)])
    black = np.indices(site.shape).sum(axis=0) % 2 == 0
    return [(site[colour], neighbours[:, colour]) for colour in (black, ~black)]


def run_block(
    chain: dict[str, Any], sublattices: list, configuration: dict[str, Any]
) -> None:
    """Sweep the lattice many times and append the means of |m| and energy.

    Error bars come from the spread of the blocks. They are honest as long as a block
    is much longer than the memory of the chain, which grows towards T = 2.269.
    """
    sweeps = configuration["sweeps_per_block"]
    magnetisation = energy = 0.0
    for _ in range(sweeps):
        energy += metropolis_sweep(
            chain["spins"], sublattices, configuration["temperature"], chain["rng"]
        )
        magnetisation += abs(chain["spins"].mean())
    chain["sweep"] += sweeps
    chain["magnetisation"].append(float(magnetisation / sweeps))
    chain["energy"].append(float(energy / sweeps))


def metropolis_sweep(
    spins: np.ndarray, sublattices: list, temperature: float, rng: np.random.Generator
) -> float:
    """Offer each spin one flip, black before white; return the energy per spin."""
    for sites, neighbours in sublattices:
        alignment = spins[sites] * spins[neighbours].sum(axis=0, dtype=np.int8)
        flips = rng.random(sites.size) < np.exp(-2 * alignment / temperature)
        spins[sites[flips]] *= -1
        alignment[flips] *= -1
    # Each bond has one white end, and the white spins were the last to move.
    return -alignment.sum() / spins.size


def mean_and_error(blocks: list[float]) -> tuple[float, float]:
    """Return the mean of independent blocks and its standard error."""
    return float(np.mean(blocks)), float(np.std(blocks, ddof=1) / len(blocks) ** 0.5)


experiment = Experiment(
    name="ising",
    function=ising,
    configuration={
        "temperature": IterableVariable(
            [1.2, 1.5, 1.7, 1.8, 1.9, 2.0, 2.1, 2.5, 2.8, 3.2]
        ),
        "seed": IterableVariable(range(4)),
        "L": 64,
        "equilibration_blocks": 2,
        "blocks": 20,
        "sweeps_per_block": 200,
        "snapshot_every": 5,
    },
)
