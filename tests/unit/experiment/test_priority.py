"""Which trials run first: those of a higher priority, under the numbers they have."""

from __future__ import annotations

import pytest

from experimenter_mpi import (
    ConfigurationError,
    Experiment,
    IntegerVariable,
    execute,
    open_db,
)
from experimenter_mpi.experiment.priority import by_priority


def made(priority, function=len):
    configuration = {"a": IntegerVariable(0, 2), "b": IntegerVariable(0, 3)}
    return Experiment(
        "first", function=function, configuration=configuration, priority=priority
    )


@pytest.mark.parametrize(
    ("priority", "order"),
    [
        (lambda c: c["a"], [range(8, 12), range(4, 8), range(4)]),
        (lambda c: c["b"] == 2, [range(2, 3), range(6, 7), range(10, 11)]),
        (lambda c: -c["a"] - c["b"] / 10, [range(1), range(1, 2), range(2, 3)]),
        (None, [range(12)]),
    ],
)
def test_those_of_a_higher_priority_come_first(priority, order):
    found = by_priority(made(priority), [range(12)])

    assert order == list(found)[: len(order)]
    assert sorted(index for piece in found for index in piece) == [*range(12)]


def test_only_what_is_pending_is_ordered():
    found = by_priority(
        made(lambda c: c["a"]), [range(1, 3), range(5, 6), range(11, 12)]
    )

    assert [range(11, 12), range(5, 6), range(1, 3)] == found


def test_a_run_begins_them_in_this_order(tmp_path):
    ran = []

    def note(configuration, trial_id):
        ran.append((configuration["b"], configuration["a"]))
        return {}

    experiment = made(lambda c: c["b"], note)
    with open_db("priority.db", tmp_path) as database:
        execute(experiment, database)
        stored = [trial.configuration["a"] for trial in experiment]

    assert sorted(ran, key=lambda each: (-each[0], each[1])) == ran
    assert [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2] == stored


@pytest.mark.parametrize(
    ("priority", "said"),
    [
        (lambda c: 1 / c["a"], "priority= failed for trial 0: ZeroDivisionError"),
        (lambda c: "high", "priority= failed for trial 0: ValueError: could not conv"),
        (lambda c: None, "priority= failed for trial 0: TypeError"),
    ],
)
def test_a_function_that_fails_names_the_trial(priority, said):
    with pytest.raises(ConfigurationError, match=said):
        by_priority(made(priority), [range(12)])


def test_what_is_no_function_is_refused():
    with pytest.raises(ConfigurationError, match="priority must be a function of the"):
        made(3)
