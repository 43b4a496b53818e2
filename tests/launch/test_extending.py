"""Workers run the trials of every block, in every mode, also where a run was killed."""

from __future__ import annotations

import pytest

from experimenter_mpi import open_db
from support.experiments import PACKAGE
from support.launch import wait_until
from support.ways import WAYS

SCRIPT = """
import numpy, time
from pathlib import Path
from experimenter_mpi import (
    Experiment, IntegerVariable, IterableVariable, RepeatVariable,
)

def trial(configuration, trial_id):
    n, field = configuration["n"], configuration["field"]
    while n == 3 and Path("hold").exists():
        Path("held").touch()
        time.sleep(0.01)
    return {{"product": n * float(field.sum()), "again": configuration["again"]}}

experiment = Experiment("grows", function=trial, configuration={{
    {configuration}
    "again": RepeatVariable("yes", {repetitions}),
    "field": IterableVariable([numpy.arange(3.0), numpy.ones(4)]),
}})
"""
FIRST = SCRIPT.format(configuration='"n": IntegerVariable(1, 3),', repetitions=2)
# One value less, two more, and a repetition; 1, 3 and what is new in this order.
LATER = SCRIPT.format(
    configuration='"n": IterableVariable([5, 3, 1.0, 4]),', repetitions=3
)


def products(folder):
    """Give every trial's number, parameters and result, those set aside as well."""
    with open_db(folder.database, read_only=True) as database:
        trials = database.get_trials_by_name("grows", set_aside=True)
        asked = {trial.id for trial in database.get_trials_by_name("grows")}
    for trial in trials:
        product = trial.configuration["n"] * trial.configuration["field"].sum()
        assert trial.results == {"product": product, "again": "yes"}, trial
        assert trial.attempts == 1
    numbers = [trial.index for trial in trials if trial.id in asked]
    return {trial.id: trial.results for trial in trials}, numbers


@pytest.mark.launches
@pytest.mark.parametrize("library", ["mpich", "openmpi"])
@pytest.mark.parametrize(
    "name", ["coordinated", "distributed", "heterogeneous-alone", "multithreaded"]
)
def test_what_is_new_is_run_and_what_is_there_is_kept(name, library, launches, folder):
    folder.write(FIRST)
    WAYS["serial"].start_run(launches, library=library, cwd=folder.path).wait(90)
    before, _ = products(folder)
    folder.write(LATER)

    done = WAYS[name].start_run(launches, "--extend", library=library, cwd=folder.path)

    assert "16 finished, 0 failed" in done.wait(90).expect(0).stdout
    after, numbers = products(folder)
    assert before.items() <= after.items()
    assert len(after) == 28
    assert numbers == [*range(4), *range(8, 28)]


@pytest.mark.launches
def test_a_change_is_refused_on_every_rank_alike(mpirun, folder):
    folder.write(FIRST)
    mpirun(3, *PACKAGE, "run", "exp.py").expect(0)
    folder.write(LATER)

    refused = mpirun(3, *PACKAGE, "run", "exp.py").expect(3)

    assert "16 new trials, 8 kept, 4 set aside" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.launches
def test_what_was_killed_half_way_is_extended_and_goes_on(launches, folder):
    folder.write(FIRST)
    (folder.path / "hold").touch()
    way = WAYS["coordinated"]
    running = way.start_run(launches, library="mpich", cwd=folder.path)
    wait_until((folder.path / "held").exists)
    running.kill_tree()
    running.wait(60)
    (folder.path / "hold").unlink()
    folder.write(LATER)

    done = way.start_run(
        launches, "--extend", "--isolate", library="mpich", cwd=folder.path
    )

    done.wait(90).expect(0)
    with open_db(folder.database, read_only=True) as database:
        found = database.get_trials_by_name("grows")
    assert [trial.status for trial in found] == ["finished"] * 24
