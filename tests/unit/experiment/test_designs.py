"""Points that are drawn: the same for the same seed, and inside of what was said."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from experimenter_mpi.errors import ConfigurationError
from experimenter_mpi.experiment.derived import Derived
from experimenter_mpi.experiment.designs import METHODS, sampled
from experimenter_mpi.experiment.distributions import (
    Choice,
    Integers,
    LogIntegers,
    LogUniform,
    Normal,
    Uniform,
)
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.variables import IterableVariable
from unit.experiment.test_derived import encode, restored

ALL = {
    "x": (0, 1),
    "y": LogUniform(1e-4, 1),
    "z": Normal(5, 2),
    "k": Integers(1, 8),
    "m": LogIntegers(1, 1000),
    "o": Choice("a", "b", None),
}


def points(configuration):
    """Return the trials: each alone, as texts, from a database and on a worker."""
    expansion = Expansion(configuration)
    found = [expansion[index] for index in range(expansion.size)]
    again = restored(expansion)
    sent = Expansion(pickle.loads(pickle.dumps(expansion.configuration)))

    assert [encode(point) for point in found] == list(expansion.documents(encode))
    assert found == [again[index] for index in range(again.size)]
    assert found == [sent[index] for index in range(sent.size)]
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_design_fills_what_was_said(method):
    found = points(sampled(64, method, **ALL))
    columns = {name: [point[name] for point in found] for name in ALL}

    assert all(0 <= x < 1 for x in columns["x"])
    assert all(1e-4 <= y <= 1 for y in columns["y"])
    assert 15 < sum(y < 1e-2 for y in columns["y"]) < 49
    assert 15 < sum(z < 5 for z in columns["z"]) < 49
    assert set(range(1, 9)) == set(columns["k"])
    assert 15 < sum(m < 32 for m in columns["m"]) < 49
    assert {"a", "b", None} == set(columns["o"])
    kinds = [float, float, float, int, int]
    assert all(kinds == [*map(type, point.values())][:5] for point in found)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_says_which_points(method):
    first = points(sampled(16, method, seed=3, **ALL))

    assert first == points(sampled(16, method, seed=3, **ALL))
    assert first != points(sampled(16, method, seed=4, **ALL))


@pytest.mark.parametrize("method", ["random", "sobol", "halton"])
def test_more_points_begin_with_the_same_ones(method):
    few, many = (points(sampled(n, method, seed=3, **ALL)) for n in (16, 64))

    assert few == many[:16]


def test_random_points_are_those_of_numpys_default_generator():
    numbers = np.random.default_rng(7).random((5, 2))
    found = points(sampled(5, seed=7, x=(0, 1), y=(10, 20)))

    assert [x for x, _ in numbers] == [point["x"] for point in found]
    assert [10 * (1 - y) + 20 * y for _, y in numbers] == [each["y"] for each in found]


@pytest.mark.parametrize(
    ("method", "kind"), [("sobol", qmc.Sobol), ("latin", qmc.LatinHypercube)]
)
def test_designs_are_those_of_scipy(method, kind):
    expected = kind(2, rng=np.random.default_rng(7)).random(8)
    found = points(sampled(8, method, seed=7, x=(0, 1), y=(0, 1)))

    assert expected.tolist() == [[point["x"], point["y"]] for point in found]


def test_a_number_that_is_no_power_of_two_is_said_and_kept():
    with pytest.warns(UserWarning, match="as 8 or 16; this one has n=10") as caught:
        assert 10 == len(points(sampled(10, "sobol", x=(0, 1), y=(0, 1))))
    assert 1 == len(caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points(sampled(1, "sobol", x=(0, 1)))


def test_it_goes_with_all_other_kinds():
    configuration = {
        "a": IterableVariable([1, 2]),
        "inner": {**sampled(4, x=(0, 1), k=Integers(1, 9)), "same": 0},
        "b": Derived(lambda c: c["inner"]["k"] + c["a"]),
    }
    found = points(configuration)
    assert 8 == len(found)
    assert all(each["b"] == each["inner"]["k"] + each["a"] for each in found)
    assert [each["inner"] for each in found[:4]] == [
        each["inner"] for each in found[4:]
    ]

    kept = Expansion(configuration, lambda c: c["inner"]["x"] < 0.5 and c["b"] > 2)
    assert [each for each in found if each["inner"]["x"] < 0.5 and each["b"] > 2] == [
        kept[i] for i in range(kept.size)
    ]


def test_parameters_may_be_called_n_and_method():
    (point,) = points(sampled(1, "random", n=Integers(1, 2), method=Choice("svm")))

    assert "svm" == point["method"]


def test_the_document_has_the_values_and_what_was_written():
    configuration = sampled(2, seed=1, x=Choice("a"), y=LogUniform(0.1, 1))
    stored = json.loads(encode(Expansion(configuration).configuration))

    text = "sampled(2, 'random', seed=1, x=Choice('a'), y=LogUniform(0.1, 1))"
    assert {
        "$SampledVariable": {"names": ["x", "y"], "design": text, "iter": ["a", "a"]}
    } == stored["x"]
    assert f"<x of {text}>" == repr(configuration["x"])
    assert f"<2 values of {text}>" == repr(Expansion(configuration).configuration["x"])


# Loads numpy only when values are asked for.
LIGHT = """
import sys
from experimenter_mpi import Choice, Experiment, sampled
experiment = Experiment("e", function=len, configuration=sampled(8, "sobol", x=(0, 1)))
assert 8 == len(experiment)
assert not {"numpy", "scipy"} & sys.modules.keys()
experiment[0]
assert {"numpy", "scipy"} <= sys.modules.keys()
"""


def test_nothing_heavy_is_loaded_before_values_are_asked_for():
    root = Path(__file__).parents[3]

    subprocess.run([sys.executable, "-c", LIGHT], check=True, cwd=root, timeout=60)


def test_without_scipy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    expansion = Expansion(sampled(8, "halton", x=(0, 1)))

    with pytest.raises(
        ConfigurationError, match=r"'halton' needs scipy; .*\[designs\]"
    ):
        expansion[0]
    assert 8 == len(points(sampled(8, "random", x=(0, 1))))


@pytest.mark.parametrize(
    ("arguments", "axes", "said"),
    [
        ((8, "sobl"), {"x": (0, 1)}, "method must be one of random, sobol"),
        ((0,), {"x": (0, 1)}, "n must be a whole number of 1 or more, not 0"),
        ((1.5,), {"x": (0, 1)}, "n must be a whole number of 1 or more"),
        ((8,), {}, "sampled: no parameters"),
        ((8,), {"x": 3}, r"sampled: x must be \(low, high\), Uniform"),
        ((8,), {"seed": -1, "x": (0, 1)}, "seed must be a whole number of 0 or more"),
        ((8,), {"x": (1, 0)}, r"Uniform\(1, 0\): the first number must be below"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, axes, said):
    with pytest.raises(ConfigurationError, match=said):
        sampled(*arguments, **axes)


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (Uniform, (0, math.inf), "inf is not a finite number"),
        (Uniform, ("a", 1), "'a' is not a finite number"),
        (LogUniform, (0, 1), "both ends must be positive"),
        (Normal, (0, 0), "the standard deviation must be positive"),
        (Integers, (0.5, 1), "both ends must be whole numbers"),
        (Integers, (3, 3), "must be below the second"),
        (LogIntegers, (0, 3), "both ends must be 1 or more"),
        (Choice, (), "there is nothing to choose from"),
    ],
)
def test_what_is_no_distribution_is_refused(kind, arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        kind(*arguments)


LAST = 1 - 2.0**-53


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.floats(0, LAST))
def test_floats_stay_between_the_ends(one, other, unit):
    low, high = sorted((one, other))
    if low == high:
        return
    (value,) = Uniform(low, high).values([unit])

    assert low <= value <= high


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(0, LAST))
def test_integers_stay_between_the_ends(low, more, unit):
    for kind in (Integers, LogIntegers):
        (value,) = kind(low, low + more).values([unit])
        assert low <= value <= low + more


@pytest.mark.parametrize("kind", [Uniform, LogUniform, Normal, Integers, LogIntegers])
def test_the_ends_of_the_unit_interval_have_values(kind):
    assert all(map(math.isfinite, kind(1, 8).values([0.0, LAST])))


def test_integers_are_equally_likely():
    units = [(i + 0.5) / 1200 for i in range(1200)]

    assert {100} == set(Counter(Integers(1, 12).values(units)).values())
