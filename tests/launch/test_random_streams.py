"""Random streams: a trial draws the same numbers however the sweep is run."""

from __future__ import annotations

import json
import random

import pytest

from support.experiments import PACKAGE, Folder
from support.launch import Launches
from support.ways import WAYS

SCRIPT = """
import random
import numpy as np
from experimenter_mpi import Experiment, IterableVariable, get_rng, get_seed

np.random.seed(0)
random.seed(0)

def draw(configuration, trial_id):
    return {
        "numbers": [random.random(), np.random.random(), random.gauss(0, 1)],
        "own": [get_rng().random(), get_rng().standard_normal(), get_seed(128)],
    }

experiment = Experiment(
    "drawn", function=draw, configuration={"n": IterableVariable([*range(12)])},
    id="5b7c5e60-4a5e-4c3e-9d61-0a3d4f1f8a11"%s,
)
"""
NUMBERS = """SELECT results ->> '$.numbers', results ->> '$.own'
    FROM trials ORDER BY trial_index"""
RUN = (*PACKAGE, "run", "exp.py", "--progress", "none")


@pytest.fixture(scope="module")
def of_serial(tmp_path_factory):
    """What the trials of a serial run draw: all of them other numbers."""
    folder = Folder(tmp_path_factory.mktemp("serial"))
    folder.write(SCRIPT % "")
    with Launches(folder.path) as launches:
        launches.start_serial(*RUN, library="mpich", cwd=folder.path).wait(60).expect(0)
    numbers = folder.query(NUMBERS)
    assert 12 == len({of for of, _ in numbers}) == len({own for _, own in numbers})
    return numbers


@pytest.mark.launches
@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("coordinated", "mpich"),
        ("coordinated", "openmpi"),
        ("distributed", "mpich"),
        ("distributed-alone", "openmpi"),
        ("multithreaded", "mpich"),
        ("heterogeneous", "openmpi"),
    ],
)
def test_every_mode_draws_what_a_serial_run_draws(
    name, library, launches, folder, of_serial
):
    folder.write(SCRIPT % "")

    WAYS[name].start_run(launches, library=library, cwd=folder.path).wait(90).expect(0)

    numbers = folder.query(NUMBERS)
    assert [own for _, own in of_serial] == [own for _, own in numbers]
    if name not in ("multithreaded", "heterogeneous"):  # which share the global ones
        assert of_serial == numbers


@pytest.mark.launches
def test_a_run_in_parts_draws_what_a_whole_one_draws(serial, mpirun, folder, of_serial):
    """One trial, then half of them isolated, then the rest on more ranks."""
    folder.write(SCRIPT % "")

    serial(*RUN, "--trial", "7").expect(0)
    mpirun(2, *RUN, "--isolate", "--share", "2/2").expect(0)
    mpirun(4, *RUN).expect(0)

    assert of_serial == folder.query(NUMBERS)


# The first to run trial 5 is killed there.
KILLED = SCRIPT.replace(
    "    return {",
    """
    if configuration["n"] == 5 and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return {""",
).replace("import random", "import os, random, signal")


@pytest.mark.launches
def test_a_run_that_is_killed_and_goes_on_draws_the_same(mpirun, folder, of_serial):
    folder.write(KILLED % "")
    assert 0 != mpirun(3, *RUN).returncode
    assert (folder.path / "killed").exists()

    mpirun(2, *RUN).expect(0)

    assert of_serial == folder.query(NUMBERS)


# Nothing here needs numpy.
LIGHT = """
import random, sys
from experimenter_mpi import Experiment, IterableVariable, get_seed

def draw(configuration, trial_id):
    return {"drawn": [random.random(), get_seed()], "numpy": "numpy" in sys.modules}

experiment = Experiment(
    "drawn", function=draw, configuration={"n": IterableVariable([*range(12)])}, seed=5
)
"""


@pytest.mark.launches
@pytest.mark.parametrize("isolate", [(), ("--isolate",)])
def test_the_numbers_are_the_same_where_numpy_is_not_loaded(
    mpirun, serial, folder, isolate
):
    query = "SELECT results ->> '$.drawn', results ->> '$.numpy' FROM trials"
    folder.write(LIGHT)
    mpirun(3, *RUN, *isolate).expect(0)
    without = folder.query(query)
    folder.database.unlink()
    folder.write("import numpy" + LIGHT)
    serial(*RUN).expect(0)

    assert {0} == {loaded for _, loaded in without}
    assert [(drawn, 1) for drawn, _ in without] == folder.query(query)


@pytest.mark.launches
@pytest.mark.parametrize("isolate", [(), ("--isolate",)])
def test_told_not_to_the_scripts_own_seed_counts_on_every_rank(mpirun, folder, isolate):
    folder.write(SCRIPT % ", reseed=False")

    mpirun(3, *RUN, *isolate).expect(0)

    own = random.Random(0)  # each rank goes through these, from the first on
    expected = {(own.random(), own.gauss(0, 1)) for _ in range(12)}
    drawn = [json.loads(numbers) for numbers, _ in folder.query(NUMBERS)]
    assert 12 == len(drawn)
    assert expected >= {(first, last) for first, _, last in drawn}
