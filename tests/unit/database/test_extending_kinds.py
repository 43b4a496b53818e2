"""Every way to say what to try can be extended: what is there is not tried again."""

from __future__ import annotations

import pytest

from experimenter_mpi import (
    Derived,
    Experiment,
    IntegerVariable,
    IterableVariable,
    execute,
    sampled,
    zipped,
)


def made(given):
    configuration, where = given if isinstance(given, tuple) else (given, None)
    return Experiment(
        "grown", function=lambda *_: {}, configuration=configuration, where=where
    )


def with_double(values):
    return {"a": IterableVariable(values), "d": Derived(lambda c: 2 * c["a"])}


GROWN = {
    "zipped": (zipped(a=[1, 2], b=[3, 4]), zipped(a=[1, 2, 5], b=[3, 4, 6]), 1),
    "derived": (with_double([1, 2]), with_double([1, 2, 3]), 1),
    "where": (
        ({"a": IntegerVariable(1, 4)}, lambda c: c["a"] > 2),
        ({"a": IntegerVariable(1, 4)}, lambda c: c["a"] > 1),
        1,
    ),
    "listed": (
        [{"a": 1}, {"b": IterableVariable([1, 2])}],
        [{"a": 1}, {"b": IterableVariable([1, 2, 3])}, {"c": 1}],
        2,
    ),
    "random": (sampled(8, x=(0, 1)), sampled(12, x=(0, 1)), 4),
    "sobol": (sampled(8, "sobol", x=(0, 1)), sampled(16, "sobol", x=(0, 1)), 8),
    "halton": (sampled(8, "halton", x=(0, 1)), sampled(12, "halton", x=(0, 1)), 4),
    # All points of a larger design are others.
    "latin": (sampled(8, "latin", x=(0, 1)), sampled(16, "latin", x=(0, 1)), 16),
}


@pytest.mark.parametrize("name", GROWN)
def test_what_is_there_is_not_tried_again(name, open_here):
    before, after, new = GROWN[name]
    with open_here(in_memory=True) as db:
        execute(made(before), db)

        assert new == execute(made(after), db, extend=True).finished
