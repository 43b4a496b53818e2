"""A run records which code it ran, and says where results are of other code."""

from __future__ import annotations

import json
import shlex

import pytest

from support.experiments import PACKAGE
from support.repository import Repository
from support.ways import WAYS

EXP = """
{first}
from experimenter_mpi import Experiment, IntegerVariable, execute, open_db
from experimenter_mpi import {modes}
import physics

def trial(configuration, trial_id):
    return {{"x": physics.factor}}

n = IntegerVariable(1, 4)
experiment = Experiment("heat", function=trial, configuration={{"n": n}})
if __name__ == "__main__":
    with open_db("experiments.db") as database:
        execute(experiment, database, {mode}, use_progress="log")
"""
MODES = "DistributedMode, HeterogeneousMode, MPIMode, MultithreadedMode, SerialMode"
MPI_FIRST = "from mpi4py import MPI"
RUNS = "SELECT git_commit, git_dirty, script_hash, sources FROM runs"


def text_of(way, first=""):
    return EXP.format(first=first, modes=MODES, mode=WAYS[way].expression)


@pytest.fixture
def repository(folder):
    repository = Repository(folder.path)
    repository.write("physics.py", "factor = 1\n")
    repository.write(".gitignore", "experiments/\n")
    return repository


@pytest.fixture(params=["run", "execute"])
def start(request, launches, repository):
    """Write exp.py with this first line, run it in a way, and wait for its end."""

    def begin(way, library, first="", *arguments):
        repository.write("exp.py", text_of(way, first))
        if request.param == "run":
            more = ("--progress", "log", *arguments)
            running = WAYS[way].start_run(launches, *more, library=library)
        else:
            running = WAYS[way].start(launches, "exp.py", library=library)
        return running.wait(90).expect(0)

    return begin


# With MPI up before this package is first called, and where it starts it by itself.
@pytest.mark.launches
@pytest.mark.parametrize(
    ("way", "library", "first"),
    [
        ("serial", "mpich", MPI_FIRST),
        ("coordinated", "mpich", ""),
        ("coordinated", "mpich", MPI_FIRST),
        ("coordinated", "openmpi", MPI_FIRST),
    ],
)
def test_the_commit_is_known_also_where_mpi_was_up_before(
    start, repository, folder, way, library, first
):
    commit = repository.commit("physics.py", ".gitignore")

    start(way, library, first)

    found, dirty, _, sources = folder.query(RUNS)[0]
    assert (found, dirty) == (commit, True)
    files = json.loads(sources)
    assert {name: about["git"] for name, about in files.items()} == {
        "exp.py": "untracked",
        "physics.py": "clean",
    }


@pytest.mark.launches
@pytest.mark.parametrize(
    ("start", "way"),
    [("run", "serial"), ("execute", "coordinated")],
    indirect=["start"],
)
def test_results_of_other_code_are_named_and_kept(
    start, launches, repository, folder, way
):
    repository.write("exp.py", text_of(way))
    commit = repository.commit("exp.py", "physics.py", ".gitignore")
    repository.write("unrelated.txt", "not used")
    assert "made" not in start(way, "mpich").stderr
    assert "made" not in start(way, "mpich").stderr
    assert [(commit, False)] == folder.query("SELECT git_commit, git_dirty FROM runs")
    now = repository.commit()

    other_commit = start(way, "mpich").stderr
    repository.write("physics.py", "factor = 2\n")
    other_text = start(way, "mpich").stderr

    reset = (
        ", and kept; to rerun: python -m experimenter_mpi reset "
        f"{folder.database} heat --run 1\n"
    )
    at = f"commit {commit[:8]}, now {now[:8]}"
    assert (
        f"experimenter_mpi: 4 finished trials were made at {at} (with the same "
        f"script){reset}"
    ) == other_commit
    assert (
        "experimenter_mpi: 4 finished trials were made with another version of "
        f"physics.py ({at}){reset}"
    ) == other_text
    assert [("1",)] * 4 == folder.query("SELECT results ->> '$.x' || '' FROM trials")
    verb = shlex.split(other_text.partition("experimenter_mpi reset ")[2])
    launches.start_serial(*PACKAGE, "reset", *verb, "--yes").wait(60).expect(0)
    assert {"pending": 4} == folder.statuses()


@pytest.mark.launches
@pytest.mark.parametrize("way", WAYS)
def test_a_run_goes_on_with_what_another_text_of_the_script_made(launches, folder, way):
    """In no repository, and whatever the display."""
    exp = text_of("serial")
    folder.write(exp)
    folder.write("factor = 1\n", "physics.py")
    run = ("--progress", "none")
    WAYS["serial"].start_run(launches, "--trial", "1,3", *run, library="mpich").wait(
        60
    ).expect(0)
    folder.write(exp + "# another text\n")

    said = WAYS[way].start_run(launches, *run, library="mpich").wait(90).expect(0)

    lines = [line for line in said.stderr.splitlines() if "another version" in line]
    assert len(lines) == 1
    assert "2 finished trials were made with another version of exp.py, and" in lines[0]
    assert [(1, 2), (2, 2)] == folder.query(
        "SELECT run_id, count(*) FROM trials GROUP BY run_id"
    )
