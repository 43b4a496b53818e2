"""A first sweep: how far does a walker get in N random steps forward?

    python -m experimenter_mpi run exp.py
    mpirun -n 4 python -m experimenter_mpi run exp.py
    python -m experimenter_mpi results experiments/experiments.db "random walk"

Two values of N times two seeds make four trials. Nothing but Python is needed.
"""

from random import Random
from typing import Any
from uuid import UUID

from experimenter_mpi import Experiment, IterableVariable


def walk(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Add up N random steps of at most sigma each."""
    sigma = configuration["sigma"]
    rng = Random(configuration["seed"])
    distance = sum(rng.random() * sigma for _ in range(configuration["N"]))
    return {"distance": distance}


experiment = Experiment(
    name="random walk",
    function=walk,
    configuration={
        "N": IterableVariable([10, 20]),
        "seed": IterableVariable([1234, 4321]),
        "sigma": 1.0,
    },
)
