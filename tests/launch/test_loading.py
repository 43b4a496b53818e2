"""Whatever process runs a trial loads the script as rank 0 did."""

from __future__ import annotations

import os

import pytest

from support.experiments import PACKAGE
from support.ways import WAYS

PLAN = """
import sys
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    return {"n": configuration["n"], "argv": sys.argv[1:]}

def planned(name, more):
    def closed_over(configuration, trial_id):
        return {"n": configuration["n"] + more, "argv": sys.argv[1:]}

    n = IntegerVariable(1, 2)
    return Experiment(name, function=closed_over, configuration={"n": n})

Experiment("not asked for", function=trial, configuration={})
"""

LOOPING = """
import argparse, os, sys
from experimenter_mpi import Experiment
from plan import planned

parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=10)
size = parser.parse_args().size

def square(configuration, trial_id):
    named = os.path.relpath(sys.argv[0], os.path.dirname(os.path.abspath(__file__)))
    return {"n": configuration["n"] ** 2, "argv": sys.argv[1:], "script": named}

for times in (1, 2):
    n = {"n": times * size}
    Experiment(f"loop {times}", function=lambda c, i: square(c, i), configuration=n)
kept = {"all": [planned("planned", 100)]}
Experiment("named", function_name="square", configuration={"n": 8})
"""

# Every mode, and isolated children of rank 0, of a rank, and of a spawned worker.
ISOLATED = ("serial", "coordinated", "distributed-alone")
LOADERS = [*((way,) for way in WAYS), *((way, "--isolate") for way in ISOLATED)]


def stored(folder):
    rows = folder.query(
        "SELECT name, group_concat(CAST(results ->> '$.n' AS INT)) FROM experiments "
        "JOIN trials ON experiment_id = experiments.id "
        "GROUP BY name ORDER BY experiments.created_at"
    )
    return dict(rows)


def expected(size):
    loops = {"loop 1": f"{size**2}", "loop 2": f"{4 * size**2}"}
    return {**loops, "planned": "101,102", "named": "64"}


@pytest.mark.parametrize("loader", LOADERS, ids=" ".join)
def test_a_file_of_a_package_is_loaded_as_such_with_its_own_arguments(
    loader, launches, folder
):
    way, *options = loader
    package = folder.path / "sweeps" / "heat"
    package.mkdir(parents=True)
    for each in (package.parent, package):
        (each / "__init__.py").touch()
    (package / "exp.py").write_text(LOOPING.replace("from plan", "from .plan"))
    (package.parent / "plan.py").write_text(PLAN)
    (package / "plan.py").write_text("from ..plan import planned, trial")
    script = os.path.join("sweeps", "heat", "exp.py")
    verb = (*PACKAGE, "run", script, *WAYS[way].options, *options, "--", "--size", "3")

    WAYS[way].start(launches, *verb, library="mpich").wait(60).expect(0)

    assert list(expected(3).items()) == list(stored(folder).items())
    query = "SELECT DISTINCT results ->> '$.argv' FROM trials"
    assert [('["--size","3"]',)] == folder.query(query)
    query = "SELECT DISTINCT results ->> '$.script' AS s FROM trials WHERE s <> ''"
    assert [("exp.py",)] == folder.query(query)


@pytest.mark.parametrize(
    "loader", [("serial", "--isolate"), ("coordinated",), ("distributed-alone",)]
)
def test_a_file_by_itself_is_loaded_as_such_with_no_arguments(loader, launches, folder):
    way, *options = loader
    folder.write(PLAN, "plan.py")
    folder.write(LOOPING)

    WAYS[way].start_run(launches, *options, library="mpich").wait(60).expect(0)

    assert list(expected(10).items()) == list(stored(folder).items())
    assert [("[]",)] == folder.query("SELECT DISTINCT results ->> '$.argv' FROM trials")


@pytest.mark.parametrize("way", ["serial", "coordinated", "distributed-alone"])
def test_a_module_is_run_where_only_its_folder_tells_the_package(way, launches, folder):
    """As `python -m sweeps.exp` finds it: without any __init__.py."""
    (folder.path / "sweeps").mkdir()
    folder.write(LOOPING.replace("from plan", "from .plan"), "sweeps/exp.py")
    folder.write(PLAN, "sweeps/plan.py")
    verb = (*PACKAGE, "run", "-m", "sweeps.exp", *WAYS[way].options)

    WAYS[way].start(launches, *verb, library="mpich").wait(60).expect(0)

    assert list(expected(10).items()) == list(stored(folder).items())


ENDINGS = {
    "a mistake": (("--sise", "3"), 2, "unrecognized arguments: --sise 3"),
    "a question": (("--help",), 0, "show this help message"),
}


@pytest.mark.parametrize("case", ENDINGS)
@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_a_script_that_ends_over_its_arguments_ends_the_run_in_its_way(
    library, case, mpirun, folder
):
    arguments, code, said = ENDINGS[case]
    folder.write(PLAN, "plan.py")
    folder.write(LOOPING)
    verb = (*PACKAGE, "run", "exp.py", "--", *arguments)

    done = mpirun(3, *verb, library=library, timeout=40).expect(code)

    assert 1 == (done.stdout + done.stderr).count(said)
    line = f"exp.py ended with exit code {code} while it was loaded; nothing was run"
    assert 1 == done.stderr.count(line)
    assert not folder.database.exists()


PLACED = """
import os
from experimenter_mpi import Experiment, IntegerVariable, get_global_store

def place():
    names = ("LOCAL_RANK", "WORKERS_ON_NODE")
    return "/".join(os.environ[f"EXPERIMENTER_{name}"] for name in names)

os.environ["DEVICE"] = place()
with open("loaded.txt", "a") as file:
    print(place(), file=file)

def build(configuration):
    return {"device": place()}

def trial(configuration, trial_id):
    device = get_global_store()["device"]
    assert device == place() == os.environ["DEVICE"]
    return {}

experiment = Experiment(
    "placed", function=trial, init_store=build,
    configuration={"n": IntegerVariable(1, 20)},
)
"""
# What each process finds that loads the script. Rank 0, which runs no trial, is 0 too.
ALONE, THREE = ["0/1"], ["0/2", "0/2", "1/2"]
PLACES = [
    ("serial", (), ALONE),
    ("serial", ("--isolate",), ALONE * 2),
    ("multithreaded", (), ALONE),
    ("distributed", (), THREE),
    ("distributed", ("--workers", "1"), ["0/1", "0/2"]),
    ("heterogeneous", (), THREE),
    ("coordinated", (), THREE),
    ("coordinated", ("--isolate",), THREE),
    ("coordinated", ("--mode", "serial"), ALONE),
    ("distributed-alone", (), ["0/1", "0/2", "1/2"]),
]


# Whose launcher says it in other variables.
OPEN_MPI = [
    ("coordinated", (), THREE),
    ("coordinated", ("--isolate",), THREE),
    ("distributed-alone", (), ["0/1", "0/2", "1/2"]),
]


@pytest.mark.parametrize(
    ("way", "options", "places", "library"),
    [(*case, "mpich") for case in PLACES] + [(*case, "openmpi") for case in OPEN_MPI],
)
def test_a_worker_knows_its_number_on_its_node_before_it_loads_the_script(
    way, options, places, library, launches, folder
):
    folder.write(PLACED)

    WAYS[way].start_run(launches, *options, library=library).wait(60).expect(0)

    loaded = (folder.path / "loaded.txt").read_text().split()
    assert places == sorted(loaded)
    assert {"finished": 20} == folder.statuses()
