"""Start from another experiment's end states: a driven pendulum's road to chaos.

    mpirun -n 4 python -m experimenter_mpi run exp.py
    python -m experimenter_mpi results experiments/experiments.db "pendulum period"

A damped pendulum is driven once per unit of time. The first experiment lets it settle.
The second starts every trial where one of the first ended, and looks at the pendulum
once per drive: driven harder and harder it repeats itself after 1, 2, 4, 8 drives, and
then not at all (J. R. Taylor, Classical Mechanics, chapter 12). To measure something
else, only the second experiment has to be run again.
"""

from math import cos, pi, sin
from typing import Any
from uuid import UUID

from experimenter_mpi import (
    Experiment,
    IterableVariable,
    MatchIterableVariable,
    get_results_from_trial_global_database,
)

DRIVE_FREQUENCY = 2 * pi
NATURAL_FREQUENCY = 1.5 * DRIVE_FREQUENCY
DAMPING = NATURAL_FREQUENCY / 4
STEPS_PER_DRIVE = 400


def settle(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Swing until the way it started is forgotten."""
    angle, velocity = -pi / 2, 0.0
    for _ in range(configuration["drives"]):
        angle, velocity = one_drive(angle, velocity, configuration["strength"])
    return {"angle": angle, "velocity": velocity}


def measure(configuration: dict[str, Any], trial_id: UUID) -> dict[str, Any]:
    """Swing on from where a settled trial ended, and find the period in drives."""
    start = get_results_from_trial_global_database(configuration["start"])
    if start is None:
        raise RuntimeError(f"trial {configuration['start']} has not finished")
    angle, velocity = start["angle"], start["velocity"]
    angles = [angle]
    for _ in range(configuration["drives"]):
        angle, velocity = one_drive(angle, velocity, configuration["strength"])
        angles.append(angle)
    return {
        "period": period(angles),
        "angle": angle,
        "velocity": velocity,
        "angles": angles,
    }


def one_drive(angle: float, velocity: float, strength: float) -> tuple[float, float]:
    """Follow the pendulum through one period of the drive, by the midpoint rule."""
    step = 1 / STEPS_PER_DRIVE
    for i in range(STEPS_PER_DRIVE):
        pull = acceleration(angle, velocity, i * step, strength)
        mid_angle = angle + step / 2 * velocity
        mid_velocity = velocity + step / 2 * pull
        pull = acceleration(mid_angle, mid_velocity, (i + 0.5) * step, strength)
        angle += step * mid_velocity
        velocity += step * pull
    return angle, velocity


def acceleration(angle: float, velocity: float, time: float, strength: float) -> float:
    """Sum friction, gravity, and a drive whose strength is in units of gravity."""
    drive = strength * cos(DRIVE_FREQUENCY * time)
    return -2 * DAMPING * velocity + NATURAL_FREQUENCY**2 * (drive - sin(angle))


def period(angles: list[float], tolerance: float = 1e-3) -> int | None:
    """Return after how many drives the angles repeat, None if they do not."""
    for shift in range(1, len(angles) // 2):
        pairs = zip(angles, angles[shift:], strict=False)
        if all(abs(later - earlier) < tolerance for earlier, later in pairs):
            return shift
    return None


strengths = IterableVariable([1.06, 1.074, 1.081, 1.0826, 1.105])

settled = Experiment(
    name="pendulum settled",
    # Trial ids follow from the experiment's id. A random one would be new each time
    # this file is run, and the starts below would no longer be those in the database.
    id="9f0c4d52-6b1e-4a53-8a55-2f0de3c1b7a4",
    function=settle,
    configuration={"strength": strengths, "drives": 300},
)

measured = Experiment(
    name="pendulum period",
    function=measure,
    configuration={
        "strength": strengths,
        "start": MatchIterableVariable([trial.id for trial in settled]),
        "drives": 64,
    },
)
