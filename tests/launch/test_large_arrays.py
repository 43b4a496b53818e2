"""However large an array is, rank 0 holds a small part of it, or nothing."""

from __future__ import annotations

import pytest

from experimenter_mpi import open_db
from support.experiments import PACKAGE

LARGE = """
import atexit, os, resource, numpy
from mpi4py import MPI
from experimenter_mpi import (
    Experiment, IntegerVariable, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
)
from experimenter_mpi.trial import arrays

def trial(configuration, trial_id):
    n = configuration["n"]
    state = {"small": numpy.arange(9) + n, "large": numpy.arange(200_000) + n}
    save_snapshot_in_global_database(trial_id, state)
    found = get_latest_snapshot_from_global_database(trial_id).state
    assert all((found[key] == state[key]).all() for key in state)
    return {"first": numpy.full(CELLS, 1.0 * n), "second": state["large"]}

CELLS = 25_000_000
if os.environ["FOLDER"] == "not shared":
    arrays.SharedArrays._is_coordinators = lambda self: False

def say_peak():
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")

if MPI.COMM_WORLD.rank == 0:
    atexit.register(say_peak)
experiment = Experiment(
    "large", function=trial, configuration={"n": IntegerVariable(1, 1)}
)
"""


@pytest.mark.parametrize("shared", ["shared", "not shared"])
def test_rank_0_does_not_grow_with_the_arrays_of_workers(
    shared, mpirun, folder, tmp_path
):
    """The result is 200 MB; a rank 0 that held it would need more than that."""
    folder.write(LARGE)
    (tmp_path / "tmp").mkdir()
    env = {"FOLDER": shared, "TMPDIR": str(tmp_path / "tmp")}

    done = mpirun(3, *PACKAGE, "run", "exp.py", "--progress", "none", env=env)
    done.expect(0)

    (peak,) = [line for line in done.stdout.splitlines() if line.endswith("MiB")]
    assert 190 > int(peak.split()[0])
    with open_db(folder.database, read_only=True) as database:
        [trial] = database.get_trials_by_name("large")
        first, second = trial.results["first"], trial.results["second"]
        assert 25_000_000 == len(first)
        assert 1 == first.min() == first.max()
        assert (1, 200_000) == (second[0], second[-1])
    files = [p for p in folder.path.glob("experiments/*.arrays/*/*") if p.is_file()]
    assert 2 == len(files)
    assert [] == list((tmp_path / "tmp").rglob("*.h5*"))


def test_a_trial_with_too_large_a_document_fails_and_says_what_to_do(run_cli, folder):
    folder.write(HUGE)

    run_cli("run", "exp.py").expect(1)

    assert {"finished": 1, "failed": 1} == folder.statuses()
    [(kind, message)] = folder.query(
        "SELECT error_type, error_message FROM trials WHERE status = 'failed'"
    )
    assert "EncodingError" == kind
    assert (
        "more than the 1,000 that can be stored; return large data as arrays" in message
    )


HUGE = """
from experimenter_mpi import Experiment, IntegerVariable
from experimenter_mpi.encoding import codec

codec.MAX_DOCUMENT_BYTES = 1000

def trial(configuration, trial_id):
    return {"text": "x" * (990 * configuration["n"])}

experiment = Experiment(
    "huge", function=trial, configuration={"n": IntegerVariable(0, 1)}
)
"""
