"""The same experiment gives the same rows, on a laptop and on any number of ranks."""

from __future__ import annotations

import pytest

from experimenter_mpi import open_db
from support.comparing import comparable
from support.experiments import EVERYTHING, PACKAGE, STABLE, Folder

BY_INDEX = f"SELECT {STABLE}, results IS NULL FROM trials ORDER BY trial_index"


def results_of(folder: Folder):
    with open_db(folder.database, read_only=True) as database:
        trials = database.get_trials_by_name("everything")
        return [comparable(trial.results) for trial in trials]


@pytest.fixture
def serial_rows(serial, tmp_path):
    alone = Folder(tmp_path / "alone")
    alone.path.mkdir()
    alone.write(EVERYTHING)
    serial(*PACKAGE, "run", "exp.py", cwd=alone.path).expect(1)
    assert {"finished": 7, "failed": 1} == alone.statuses()
    return alone.query(BY_INDEX), results_of(alone)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_gives_the_rows_of_a_serial_run(
    ranks, mpirun, folder, serial_rows
):
    folder.write(EVERYTHING)

    mpirun(ranks, *PACKAGE, "run", "exp.py").expect(1)

    assert serial_rows == (folder.query(BY_INDEX), results_of(folder))


def test_another_mpi_library_gives_the_rows_of_a_serial_run(
    mpirun, folder, serial_rows
):
    folder.write(EVERYTHING)

    mpirun(3, *PACKAGE, "run", "exp.py", library="openmpi").expect(1)

    assert serial_rows == (folder.query(BY_INDEX), results_of(folder))


def test_sixty_four_ranks_run_every_trial_once(mpirun, folder):
    folder.write("""
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    return {"square": configuration["n"] ** 2}

experiment = Experiment(
    "squares", function=trial, configuration={"n": IntegerVariable(1, 500)}
)
""")

    done = mpirun(64, *PACKAGE, "run", "exp.py", timeout=120).expect(0)

    assert "squares: 500 finished, 0 failed" in done.stdout
    assert [(500, sum(n * n for n in range(1, 501)))] == folder.query(
        "SELECT count(*), sum(results ->> '$.square') FROM trials "
        "WHERE status = 'finished' AND attempts = 1"
    )


def test_a_large_array_is_written_by_the_worker_and_only_referred_to(mpirun, folder):
    folder.write(EVERYTHING)

    mpirun(3, *PACKAGE, "run", "exp.py").expect(1)

    assert [(1, 0)] == folder.query(
        "SELECT count(*), count(data) FROM arrays WHERE nbytes > 1024 * 1024"
    )
    assert 1 == len(list(folder.path.glob("experiments/experiments.db.arrays/**/*.h5")))
