"""The Ising model is the one that was solved, and its error bars are honest."""

from math import cosh, sinh, sqrt, tanh

import numpy as np
import pytest

# One in a thousand honest runs has a larger sum of five squared deviations, and one in
# a thousand a smaller one.
CHI_SQUARED_AT_MOST, CHI_SQUARED_AT_LEAST = 20.5, 0.21


def chi_squared(deviations):
    return sum(deviation**2 for deviation in deviations)


def test_the_magnetisation_agrees_with_the_exact_solution(points):
    deviations = [point.deviation for point in points]

    assert len(deviations) == 5
    assert CHI_SQUARED_AT_LEAST < chi_squared(deviations) < CHI_SQUARED_AT_MOST


def exact_energy(temperature):
    """Return the energy per spin of the infinite lattice (Onsager 1944)."""
    coupling = 2 / temperature
    modulus = 2 * sinh(coupling) / cosh(coupling) ** 2
    # The elliptic integral K(k) is pi / 2 over this arithmetic-geometric mean.
    a, b = 1.0, sqrt(1 - modulus**2)
    while a - b > 1e-15:
        a, b = (a + b) / 2, sqrt(a * b)
    return -(1 + (2 * tanh(coupling) ** 2 - 1) / a) / tanh(coupling)


def test_the_energy_agrees_with_the_exact_solution(points):
    deviations = [
        (point.energy - exact_energy(point.temperature)) / point.energy_error
        for point in points
    ]

    assert CHI_SQUARED_AT_LEAST < chi_squared(deviations) < CHI_SQUARED_AT_MOST


@pytest.mark.parametrize("factor", [0.997, 1.003])
def test_the_comparison_would_notice_temperatures_three_in_a_thousand_off(
    points, report, factor
):
    """A test of agreement is worth something only if it can fail."""
    deviations = [
        (point.magnetisation - report.exact_magnetisation(factor * point.temperature))
        / point.magnetisation_error
        for point in points
    ]

    assert chi_squared(deviations) > CHI_SQUARED_AT_MOST


def test_the_energy_counted_in_a_sweep_is_that_of_the_lattice(ising):
    rng = np.random.default_rng(1)
    spins = np.ones(64, dtype=np.int8)

    counted = ising.metropolis_sweep(spins, ising.checkerboard(8), 3.0, rng)

    square = spins.reshape(8, 8).astype(int)
    right, below = np.roll(square, 1, axis=1), np.roll(square, 1, axis=0)
    assert counted == -(square * (right + below)).sum() / 64


def test_neighbours_on_the_checkerboard_differ_in_colour(ising):
    (black, of_black), (white, of_white) = ising.checkerboard(6)

    assert sorted([*black, *white]) == list(range(36))
    assert set(of_black.flat) == set(white)
    assert set(of_white.flat) == set(black)


def test_an_odd_lattice_is_refused(ising):
    with pytest.raises(ValueError, match="needs an even L, not 5"):
        ising.checkerboard(5)
