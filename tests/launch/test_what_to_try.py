"""Each way to say what to try: the same trials alone, on ranks, from a database."""

from __future__ import annotations

import json

import pytest

from experimenter_mpi import (
    Choice,
    LogIntegers,
    get_experiment_by_name,
    open_db,
    sampled,
)
from experimenter_mpi.experiment.grid import Expansion
from support.experiments import PACKAGE, Folder
from support.launch import Launches

SCRIPT = """
from experimenter_mpi import (
    Choice, Derived, Experiment, IterableVariable, LogIntegers, sampled, table, zipped
)

def trial(configuration, trial_id):
    return {"seen": configuration}

for name, configuration in {
    "zipped": {
        "a": IterableVariable([1, 2]), "inner": {**zipped(T=[1.5, 2.5], h=["x", "y"])}
    },
    "table": {**table([{"p": 1, "q": [1]}, {"p": 2, "q": [2, 3]}]), "c": "same"},
    "derived": {
        "a": IterableVariable([1, 2]), "b": IterableVariable([3, 4]),
        "square": Derived(lambda c: c["a"] ** 2),
        "inner": {"sum": Derived(lambda c: c["square"] + c["b"])},
    },
    "sampled": {
        "a": IterableVariable([1, 2]),
        **sampled(
            4, "sobol", seed=3, x=(0, 1), k=LogIntegers(1, 99), o=Choice("p", "q")
        ),
    },
}.items():
    Experiment(name, function=trial, configuration=configuration)
Experiment("listed", function=trial, configuration=[
    {"model": "svm", "C": IterableVariable([1, 10])}, {"model": "forest", "trees": 50},
])
Experiment("where", function=trial, where=lambda c: c["a"] < c["inner"]["b"],
    configuration={
        "a": IterableVariable([1, 2]), "inner": {"b": IterableVariable([1, 2, 3])},
        "sum": Derived(lambda c: c["a"] + c["inner"]["b"]),
    },
)
"""
DRAWN = Expansion(
    sampled(4, "sobol", seed=3, x=(0, 1), k=LogIntegers(1, 99), o=Choice("p", "q"))
)
KINDS = {
    "listed": [
        {"model": "svm", "C": 1},
        {"model": "svm", "C": 10},
        {"model": "forest", "trees": 50},
    ],
    "sampled": [{"a": a, **DRAWN[i]} for a in (1, 2) for i in range(4)],
    "zipped": [
        {"a": a, "inner": {"T": T, "h": h}}
        for a in (1, 2)
        for T, h in ((1.5, "x"), (2.5, "y"))
    ],
    "table": [
        {"p": 1, "q": [1], "c": "same"},
        {"p": 2, "q": [2, 3], "c": "same"},
    ],
    "derived": [
        {"a": a, "b": b, "square": a * a, "inner": {"sum": a * a + b}}
        for a in (1, 2)
        for b in (3, 4)
    ],
    "where": [
        {"a": a, "inner": {"b": b}, "sum": a + b} for a, b in ((1, 2), (1, 3), (2, 3))
    ],
}
SEEN = """SELECT results ->> '$.seen' FROM trials JOIN experiments
    ON experiments.id = experiment_id WHERE name = ? ORDER BY trial_index"""


@pytest.fixture(scope="module", params=["serial", "mpich", "openmpi"])
def folder(request, tmp_path_factory):
    """The folder of a script that has been run alone or on ranks, then run again."""
    folder = Folder(tmp_path_factory.mktemp(request.param))
    folder.write(SCRIPT)
    run = (*PACKAGE, "run", "exp.py", "--progress", "none")
    with Launches(folder.path) as launches:
        for _ in range(2):
            if request.param == "serial":
                run_it = launches.start_serial(*run, library="mpich", cwd=folder.path)
            else:
                run_it = launches.start_mpirun(
                    3, *run, library=request.param, cwd=folder.path
                )
            run_it.wait(90).expect(0)
    return folder


@pytest.mark.launches
@pytest.mark.parametrize("name", KINDS)
def test_trials_are_those_that_were_said(folder, name):
    assert KINDS[name] == [json.loads(text) for (text,) in folder.query(SEEN, name)]


@pytest.mark.launches
@pytest.mark.parametrize("name", KINDS)
def test_the_database_alone_makes_them_again(folder, name):
    with open_db(folder.database, read_only=True) as database:
        restored = get_experiment_by_name(database, name)

        assert KINDS[name] == [trial.configuration for trial in restored]
