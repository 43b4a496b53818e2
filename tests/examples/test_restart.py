"""A second experiment goes on exactly where the first one ended."""

import pytest

from experimenter_mpi import (
    SerialMode,
    execute,
    get_trials_by_name,
    mark_trial_as_incomplete,
    open_db,
)


@pytest.fixture
def pendulum(load):
    return load("restart/exp.py")


def end(trial):
    return trial.results["angle"], trial.results["velocity"]


def test_the_pendulum_doubles_its_period_until_it_has_none(examples, mpirun, tmp_path):
    mpirun(4, "-m", "experimenter_mpi", "run", examples / "restart/exp.py").expect(0)

    db = open_db("experiments.db", tmp_path / "experiments")
    periods = [t.results["period"] for t in get_trials_by_name(db, "pendulum period")]
    assert periods == [1, 2, 4, 8, None]


def test_two_experiments_in_a_row_equal_one_long_run_to_the_last_bit(
    pendulum, resized, tmp_path
):
    """The second leg would start elsewhere if a stored state lost a single bit."""
    db = open_db("pendulum.db", tmp_path)
    for experiment in (pendulum.settled, pendulum.measured):
        execute(experiment, db, SerialMode())
    drives = sum(
        experiment.configuration["drives"]
        for experiment in (pendulum.settled, pendulum.measured)
    )
    one_leg = resized(pendulum.settled, drives=drives)
    long_db = open_db("long.db", tmp_path)

    execute(one_leg, long_db, SerialMode())

    in_two_legs = map(end, get_trials_by_name(db, "pendulum period"))
    in_one = map(end, get_trials_by_name(long_db, "pendulum settled"))
    assert list(in_two_legs) == list(in_one)


def test_running_the_file_again_finds_the_same_starts(examples, serial):
    """Without the fixed id this would be another experiment of the same name."""
    command = ["-m", "experimenter_mpi", "run", examples / "restart/exp.py"]
    serial(*command).expect(0)

    serial(*command).expect(0)


def test_a_start_that_has_not_finished_is_an_error_of_that_trial(pendulum, tmp_path):
    db = open_db("pendulum.db", tmp_path)
    execute(pendulum.settled, db, SerialMode())
    mark_trial_as_incomplete(db, pendulum.settled[1].id)

    execute(pendulum.measured, db, SerialMode())

    first, second, *_ = get_trials_by_name(db, "pendulum period")
    assert first.status == "finished"
    assert second.status == "failed"
    assert second.error_message.endswith("has not finished")


@pytest.mark.parametrize(
    ("angles", "period"),
    [
        ([0.5] * 20, 1),
        ([0.1, 0.2] * 10, 2),
        ([0.1, 0.2, 0.1, 0.3] * 5, 4),
        ([i**2 / 10 for i in range(20)], None),
    ],
)
def test_the_period_is_the_smallest_shift_that_repeats(pendulum, angles, period):
    assert pendulum.period(angles) == period
