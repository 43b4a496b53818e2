"""A worker rank imports almost nothing: thousands start in the same second."""

from __future__ import annotations

import json
import sys

import pytest

from support.experiments import PACKAGE
from support.ways import WAYS

LOOKING = """
import sys
from experimenter_mpi import {names}

def trial(configuration, trial_id):
    return {{"modules": sorted(sys.modules)}}

experiment = Experiment(
    "looking", function=trial, configuration={{"n": IntegerVariable(1, 4)}}
)
{more}
"""

HEAVY = {"sqlalchemy", "sqlite3", "_sqlite3", "rich", "numpy", "h5py", "argparse"}
# What a worker adds to a bare Python. The module uuid of 3.10 needs seven more.
MOST_ADDED = 96 if sys.version_info >= (3, 11) else 103


def modules_of(folder):
    rows = folder.query("SELECT results ->> '$.modules' FROM trials")
    return [set(json.loads(modules)) for (modules,) in rows]


def test_a_worker_of_run_stays_light(mpirun, folder, bare):
    folder.write(LOOKING.format(names="Experiment, IntegerVariable", more=""))

    mpirun(2, *PACKAGE, "run", "exp.py").expect(0)

    for modules in modules_of(folder):
        assert set() == HEAVY & modules
        assert MOST_ADDED >= len(modules - bare), sorted(modules - bare)


def test_a_worker_of_a_script_stays_light_whatever_the_script_names(
    mpirun, folder, bare
):
    names = (
        "Experiment, IntegerVariable, MPIMode, execute, open_db, get_trials, "
        "ExperimentDatabase, merge_databases, RunSummary, Snapshot"
    )
    more = """
with open_db("experiments.db", "experiments") as database:
    execute(experiment, database, MPIMode)
"""
    folder.write(LOOKING.format(names=names, more=more))

    mpirun(2, "exp.py").expect(0)

    for modules in modules_of(folder):
        assert set() == HEAVY & modules
        # The database's handle, the mode, execute and the summary, without the verb.
        assert MOST_ADDED + 3 >= len(modules - bare), sorted(modules - bare)


@pytest.mark.parametrize("said", [None, "3"])
def test_ranks_that_share_a_host_compute_on_one_thread_unless_told(
    mpirun, folder, monkeypatch, said
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    looking = LOOKING.format(names="Experiment, IntegerVariable", more="")
    threads = '{"threads": __import__("os").environ["OMP_NUM_THREADS"]}'
    folder.write(looking.replace('{"modules": sorted(sys.modules)}', threads))

    run = mpirun(3, *PACKAGE, "run", "exp.py", "--progress", "log").expect(0)

    assert f"on 3 ranks (OMP_NUM_THREADS={said or 1})" in run.stderr
    query = "SELECT DISTINCT results ->> '$.threads' FROM trials"
    assert [(said or "1",)] == folder.query(query)


@pytest.mark.parametrize("name", ["distributed", "heterogeneous", "distributed-alone"])
def test_a_worker_of_an_executor_loads_mpi4py_futures_and_nothing_else(
    name, launches, serial, folder
):
    """Nothing beyond what MPIMode's workers load, but for our own modules."""
    folder.write(LOOKING.format(names="Experiment, IntegerVariable", more=""))
    WAYS["coordinated"].start_run(launches, library="mpich").wait(60).expect(0)
    usual = set.union(*modules_of(folder))
    futures = "import sys, threading, mpi4py.futures._core; print(*sys.modules)"
    futures_modules = set(serial("-c", futures).expect(0).stdout.split())
    folder.database.unlink()

    WAYS[name].start_run(launches, library="mpich").wait(60).expect(0)

    for modules in modules_of(folder):
        others = modules - usual - futures_modules
        assert set() == {m for m in others if not m.startswith("experimenter_mpi.")}
        assert set() == HEAVY & modules
        assert 8 >= len(others)


def test_a_serial_run_never_imports_mpi(serial, folder):
    folder.write(LOOKING.format(names="Experiment, IntegerVariable", more=""))

    serial(*PACKAGE, "run", "exp.py").expect(0)

    for modules in modules_of(folder):
        assert not any(name.split(".")[0] == "mpi4py" for name in modules)


@pytest.mark.parametrize("ranks", [2, 4])
def test_each_rank_builds_its_store_once_and_nobody_can_change_it(
    ranks, mpirun, folder
):
    folder.write("""
import os
from experimenter_mpi import Experiment, IntegerVariable, get_global_store

def build(configuration):
    with open("built.txt", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return {"pid": os.getpid(), "limits": {"low": 1}}

def trial(configuration, trial_id):
    store = get_global_store()
    refused = 0
    for change in (
        lambda: store.__setitem__("pid", 0),
        lambda: store["limits"].__setitem__("low", 0),
    ):
        try:
            change()
        except TypeError:
            refused += 1
    return {"own": store["pid"] == os.getpid(), "refused": refused}

experiment = Experiment(
    "store", function=trial, init_store=build,
    configuration={"n": IntegerVariable(1, 30)},
)
""")

    mpirun(ranks, *PACKAGE, "run", "exp.py").expect(0)

    assert [(1, 2)] == folder.query(
        "SELECT DISTINCT results ->> '$.own', results ->> '$.refused' FROM trials"
    )
    builders = (folder.path / "built.txt").read_text().split()
    assert ranks - 1 == len(builders) == len(set(builders))


def test_a_missing_store_is_explained(mpirun, folder):
    folder.write("""
from experimenter_mpi import Experiment, get_global_store

def trial(configuration, trial_id):
    return dict(get_global_store())

experiment = Experiment("storeless", function=trial, configuration={})
""")

    mpirun(2, *PACKAGE, "run", "exp.py").expect(1)

    [(kind, message)] = folder.query("SELECT error_type, error_message FROM trials")
    assert "StoreError" == kind
    assert "set init_store=your_function" in message


def test_a_store_that_cannot_be_built_ends_the_run_with_one_line(mpirun, folder):
    folder.write("""
from experimenter_mpi import Experiment

def build(configuration):
    return {"data": open("nowhere.dat")}

def trial(configuration, trial_id):
    return {}

experiment = Experiment("unbuilt", function=trial, init_store=build, configuration={})
""")

    done = mpirun(3, *PACKAGE, "run", "exp.py", "--progress", "none").expect(3)

    [line] = done.stderr.splitlines()
    assert "the store function 'build' raised FileNotFoundError" in line
    assert "rank 1 on " in line
    assert {"pending": 1} == folder.statuses()
