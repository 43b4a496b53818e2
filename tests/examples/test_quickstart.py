"""The first tutorial gives what it says, with and without MPI, and without numpy."""

import subprocess
import sys

import pytest

from experimenter_mpi import SerialMode, execute, get_trials_by_name, open_db

# Sums of random.Random(seed).random(), which Python promises never to change.
EXPECTED = [
    (10, 1234, pytest.approx(5.605942554277899)),
    (10, 4321, pytest.approx(2.7450292674157697)),
    (20, 1234, pytest.approx(8.958144005879273)),
    (20, 4321, pytest.approx(7.84973232652169)),
]


def rows(db):
    return [
        (t.configuration["N"], t.configuration["seed"], t.results["distance"])
        for t in get_trials_by_name(db, "random walk")
    ]


def test_each_walk_is_the_sum_of_its_random_steps(load, tmp_path):
    db = open_db("walks.db", tmp_path)

    execute(load("quickstart/exp.py").experiment, db, SerialMode())

    assert rows(db) == EXPECTED


@pytest.mark.parametrize("ranks", [1, 4])
def test_the_command_gives_the_same_rows_on_any_number_of_ranks(
    examples, mpirun, tmp_path, ranks
):
    script = examples / "quickstart/exp.py"

    mpirun(ranks, "-m", "experimenter_mpi", "run", script).expect(0)

    assert rows(open_db("experiments.db", tmp_path / "experiments")) == EXPECTED


def test_running_it_again_runs_nothing(examples, serial, tmp_path):
    command = ["-m", "experimenter_mpi", "run", examples / "quickstart/exp.py"]
    serial(*command).expect(0)

    serial(*command).expect(0)

    db = open_db("experiments.db", tmp_path / "experiments")
    attempts = [trial.attempts for trial in get_trials_by_name(db, "random walk")]
    assert attempts == [1, 1, 1, 1]


def test_it_needs_nothing_but_python(examples):
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]);"
        "print(sorted({'h5py', 'mpi4py', 'numpy', 'sqlalchemy'} & set(sys.modules)))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", code, examples / "quickstart/exp.py"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert loaded == "[]\n"
