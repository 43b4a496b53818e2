"""The report of the Ising sweep prints what the database holds, and no more."""

from math import sqrt

import numpy as np
import pytest

from experimenter_mpi import (
    SerialMode,
    execute,
    get_trials_by_name,
    mark_trial_as_incomplete,
    open_db,
)


def test_each_temperature_is_compared_with_theory(examples, points, cold_sweep, serial):
    printed = serial(examples / "ising/report.py", cold_sweep).expect(0).stdout

    lines = printed.splitlines()
    rows = [line.split() for line in lines[1 : 1 + len(points)]]
    assert [float(row[0]) for row in rows] == [1.5, 1.7, 1.8, 1.9, 2.0]
    assert [row[3] for row in rows[::4]] == ["0.986500", "0.911319"]
    for row, point in zip(rows, points, strict=True):
        assert float(row[1]) == pytest.approx(point.magnetisation, abs=1e-6)
        assert float(row[4]) == pytest.approx(point.deviation, abs=0.01)
    agreeing = sum(abs(point.deviation) < 2 for point in points)
    assert lines[-1].startswith(f"{agreeing} of 5 temperatures below T = 2.269 agree")


def test_nothing_is_claimed_above_the_critical_temperature(
    ising, report, resized, tmp_path, capsys
):
    hot = resized(ising.experiment, temperature=3.0, L=8, sweeps_per_block=5)
    execute(hot, open_db("hot.db", tmp_path), SerialMode())
    capsys.readouterr()

    report.main(str(tmp_path / "hot.db"))

    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[0] == "3.00"
    assert row[3:5] == ["-", "-"]


def test_only_finished_trials_count(report, tiny_ising, tmp_path):
    db = open_db("half.db", tmp_path)
    execute(tiny_ising, db, SerialMode())
    first, second = get_trials_by_name(db, "ising")
    mark_trial_as_incomplete(db, first.id)

    (point,) = report.read_points(str(tmp_path / "half.db"))

    assert point.magnetisation == second.results["magnetisation"]


def test_a_sweep_of_which_nothing_has_finished_is_said_to_be_so(
    report, tiny_ising, tmp_path
):
    db = open_db("none.db", tmp_path)
    execute(tiny_ising, db, SerialMode())
    for trial in get_trials_by_name(db, "ising"):
        mark_trial_as_incomplete(db, trial.id)

    with pytest.raises(SystemExit, match="no trial of 'ising'"):
        report.main(str(tmp_path / "none.db"))


class Replica:
    """A finished trial as the report sees it."""

    def __init__(self, magnetisation, error):
        self.results = {
            "magnetisation": magnetisation,
            "magnetisation_error": error,
            "energy": -1.7,
            "energy_error": 0.1,
            "spins": np.ones((8, 8), dtype=np.int8),
        }


def test_replicas_have_equal_weights(report):
    """One that missed the large fluctuations must not outweigh the others."""
    point = report.combine(2.0, [Replica(0.9, 0.01), Replica(0.8, 0.05)])

    assert point.magnetisation == pytest.approx(0.85)
    assert point.magnetisation_error == pytest.approx(sqrt(0.01**2 + 0.05**2) / 2)


def test_a_picture_has_a_dot_for_each_spin_that_points_down(report):
    spins = np.ones((4, 4), dtype=np.int8)
    spins[0, 0] = spins[3, 1] = -1
    spins[:, 2] = -1

    title, row = report.picture(report.Point(2.0, 0.0, 0.0, 0.0, 0.0, spins))

    assert title == "T = 2.0"
    assert row == "\u2881\u2847"
