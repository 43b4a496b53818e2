"""Ranks that leave a script, early or alone: none is waited for, none waits."""

from __future__ import annotations

import pytest

# Prints each rank's own exit code, which mpirun does not tell.
SHELL = ("sh", "-c", '"$@"; code=$?; echo "code $code"; exit $code', "sh")

SCRIPT = """
import sys
from sys import exit as leave
from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db

def trial(configuration, trial_id):
    return {"n": configuration["n"]}

n = IntegerVariable(1, 5)
database = open_db("experiments.db")
for generation in range(6):
    made = Experiment(f"g{generation}", function=trial, configuration={"n": n})
    summary = execute(made, database, MPIMode())
    print("saw", generation, tuple(summary)[1:7], flush=True)
    if generation == 2 and database.is_coordinator is COORDINATOR:
        LEAVE
print("the end", flush=True)
"""

LEAVING = {
    "break": 0,
    "raise SystemExit": 0,
    "raise SystemExit(3)": 3,
    "sys.exit(0)": 0,
    "sys.exit(4)": 4,
    "sys.exit('no more')": 1,
    "leave(7)": 7,
    "raise ValueError('a bug')": 1,
    "sys.excepthook = lambda *_: None; raise ValueError": 1,
}


def leave(mpirun, folder, how, library="mpich", coordinator=True):
    source = SCRIPT.replace("LEAVE", how).replace("COORDINATOR", str(coordinator))
    folder.write(source)
    return mpirun(3, "exp.py", launcher=SHELL, library=library, timeout=40)


@pytest.mark.parametrize(
    ("library", "how"),
    [
        *(("mpich", how) for how in LEAVING),
        *(("openmpi", how) for how in ("break", "raise SystemExit(3)")),
        ("openmpi", "raise ValueError('a bug')"),
    ],
)
def test_workers_end_with_rank_0_whichever_way_it_leaves(mpirun, folder, how, library):
    code = LEAVING[how]

    done = leave(mpirun, folder, how, library).expect(code)

    assert 9 == done.stdout.count("saw ")
    assert (1 if how == "break" else 0) == done.stdout.count("the end")
    # Both an abort and Open MPI's mpirun, when one has failed, end the others at once.
    if code == 0 or (library == "mpich" and "Error" not in how):
        assert 3 == done.stdout.count(f"code {code}\n"), done
    if "Error" not in how:
        assert "Traceback" not in done.stderr
    assert {"finished": 15} == folder.statuses()


@pytest.mark.parametrize(
    ("library", "how"),
    [("mpich", "break"), ("mpich", "sys.exit(5)"), ("openmpi", "break")],
)
def test_workers_that_leave_alone_are_not_waited_for(mpirun, folder, how, library):
    done = leave(mpirun, folder, how, library, coordinator=False).expect(3)

    assert 9 == done.stdout.count("saw ")
    assert "its script has ended while rank 0 calls execute()" in done.stderr
    assert "Traceback" not in done.stderr
    assert {"finished": 15, "pending": 5} == folder.statuses()


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_a_sweep_goes_on_without_the_one_rank_that_left(mpirun, folder, library):
    how = "from mpi4py import MPI\n        if MPI.COMM_WORLD.rank == 1: break"

    done = leave(mpirun, folder, how, library, coordinator=False).expect(0)

    assert 15 == done.stdout.count("saw ")
    assert {"finished": 30} == folder.statuses()


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_a_loop_may_look_at_the_summary_which_is_the_same_everywhere(
    mpirun, folder, library
):
    folder.write(
        SCRIPT.replace("database.is_coordinator is COORDINATOR", "summary.finished")
        .replace("LEAVE", "raise SystemExit(summary.exit_code)")
        .replace("tuple(summary)[1:7]", "tuple(summary)")
    )

    done = mpirun(3, "exp.py", library=library, timeout=40).expect(0)

    lines = done.stdout.splitlines()
    assert 9 == len(lines)
    assert 3 == len(set(lines))
    assert {"finished": 15} == folder.statuses()


def test_a_worker_that_catches_its_dismissal_is_dismissed_again(mpirun, folder):
    source = SCRIPT.replace("LEAVE", "break").replace("COORDINATOR", "True")
    folder.write(
        source.replace(
            "    summary = execute(made, database, MPIMode())",
            "    try:\n        summary = execute(made, database, MPIMode())\n"
            "    except SystemExit as leave:\n        print('caught', leave.code)",
        )
    )

    done = mpirun(2, "exp.py", timeout=40).expect(0)

    assert 3 == done.stdout.count("caught 0")


def test_a_script_may_end_mpi_itself(mpirun, folder):
    source = SCRIPT.replace("LEAVE", "pass").replace("COORDINATOR", "True")
    folder.write(source + "from mpi4py import MPI\nMPI.Finalize()\n")

    done = mpirun(3, "exp.py", timeout=40).expect(0)

    assert 3 == done.stdout.count("the end")
    assert "" == done.stderr
