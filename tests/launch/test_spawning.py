"""DistributedMode where the script was started alone: MPI itself starts workers."""

from __future__ import annotations

import os
import signal

import pytest

from support.experiments import PACKAGE
from support.launch import wait_until
from support.libraries import python_of
from support.ways import WAYS

SCRIPT = """
import os, sys
from experimenter_mpi import *

def trial(configuration, trial_id):
    return {"square": configuration["n"] ** 2, "pid": os.getpid(), "argv": sys.argv}

def main():
    experiment = Experiment(
        "squares", function=trial, configuration={"n": IntegerVariable(1, 6)}
    )
    database = open_db("experiments.db")
    print(execute(experiment, database, MODE))

if __name__ == "__main__":
    main()
"""


def start_alone(launches, *arguments, library="mpich", **more):
    way = WAYS["distributed-alone"]
    return way.start(launches, *arguments, library=library, **more)


def run_script(launches, folder, mode="DistributedMode(2)", source=SCRIPT):
    folder.write(source.replace("MODE", mode), "script.py")
    return start_alone(launches, "script.py", "--big").wait(60)


def squares(folder):
    rows = folder.query("SELECT results ->> '$.square' FROM trials ORDER BY 1")
    return [square for (square,) in rows]


def test_an_experiment_made_under_the_guard_runs_on_spawned_workers(launches, folder):
    run_script(launches, folder).expect(0)

    assert [1, 4, 9, 16, 25, 36] == squares(folder)
    [(workers,)] = folder.query(
        "SELECT count(DISTINCT results ->> '$.pid') FROM trials"
    )
    assert 2 == workers
    assert [('["script.py","--big"]',)] == folder.query(
        "SELECT DISTINCT results ->> '$.argv' FROM trials"
    )


def test_functions_may_come_from_a_module_beside_the_script(launches, folder):
    folder.write(
        "def trial(configuration, trial_id):\n    return {'square': 1}\n", "a.py"
    )
    source = SCRIPT.replace("def trial", "def another").replace(
        "def main", "from a import trial\n\ndef main"
    )

    run_script(launches, folder, source=source).expect(0)

    assert [1] * 6 == squares(folder)


def test_a_configuration_may_hold_objects_of_the_scripts_own_classes(launches, folder):
    source = SCRIPT.replace(
        "def trial(configuration, trial_id):\n",
        "class Point:\n    x = 3\n\ndef trial(configuration, trial_id):\n"
        "    assert configuration['point'].x == 3\n",
    ).replace('{"n": ', '{"point": Point(), "n": ')

    done = run_script(launches, folder, source=source)

    assert [1, 4, 9, 16, 25, 36] == squares(folder), done


def test_one_script_may_execute_one_experiment_after_the_other(launches, folder):
    source = SCRIPT.replace("    main()", "    main()\n    main()").replace(
        '"squares"', '"squares" + str(len(os.listdir()))'
    )
    source = source.replace("def main():\n", "def main():\n    open('a file', 'w')\n")

    done = run_script(launches, folder, source=source).expect(0)

    assert 2 == done.stdout.count(": 6 finished, 0 failed")


def test_a_lambda_inside_a_function_is_explained(launches, folder):
    source = SCRIPT.replace("function=trial", "function=lambda c, t: {}")

    done = run_script(launches, folder, source=source)

    assert 0 != done.returncode
    assert "define it at the top level of the file" in done.stderr


def test_a_script_without_the_guard_is_told_of_it(launches, folder):
    source = SCRIPT.replace('if __name__ == "__main__":', "if True:")

    done = run_script(launches, folder, source=source)

    assert 0 != done.returncode
    assert 'if __name__ == "__main__":' in done.stderr


def test_more_workers_than_mpirun_started_are_refused(mpirun, folder):
    folder.write(SCRIPT.replace("MODE", "DistributedMode(5)"), "script.py")

    done = mpirun(3, "script.py", timeout=30)

    assert 0 != done.returncode
    assert "use `mpirun -n 6`" in done.stderr


def test_fewer_workers_than_mpirun_started_are_enough(mpirun, folder):
    folder.write(SCRIPT.replace("MODE", "DistributedMode(2)"), "script.py")

    mpirun(4, "script.py").expect(0)

    assert [(1,), (2,)] == folder.query("SELECT DISTINCT rank FROM trials ORDER BY 1")


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_a_run_ends_when_a_worker_dies(launches, folder, library):
    """A segfault, or the kernel's out-of-memory kill: MPICH says nothing of it."""
    source = SCRIPT.replace(
        "    return", "    if configuration['n'] == 3:\n        os.abort()\n    return"
    )
    folder.write(source.replace("MODE", "DistributedMode(2)"), "script.py")
    done = start_alone(launches, "script.py", library=library).wait(60)

    assert done.returncode not in (0, 1, 75)
    if library == "mpich":
        assert "has died: rerun the same command to continue" in done.stderr
    assert "Traceback" not in done.stderr
    # Of a trial that rank 0 did not hear of there is no row.
    assert 9 not in squares(folder)


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_workers_end_with_a_process_that_is_killed_while_it_spawns_them(
    library, launches, folder
):
    """They would wait for it in vain, each taking a core."""
    folder.write(SCRIPT.replace("MODE", "DistributedMode(2)"), "script.py")
    running = start_alone(launches, "script.py", library=library)
    running.wait_for(lambda: 4 <= len(running.processes()), 60)

    os.kill(running.pid, signal.SIGKILL)

    wait_until(lambda: not running.processes(), 30, "the end of every process")


# --- where there is no file


@pytest.mark.parametrize("mode", ["SerialMode()", "MultithreadedMode(2)"])
def test_a_prompt_can_run_experiments_in_this_process(mode, serial, folder):
    source = SCRIPT.replace("MODE", mode)

    serial("-", stdin=source).expect(0)

    assert [1, 4, 9, 16, 25, 36] == squares(folder)


@pytest.mark.parametrize("mode", ["DistributedMode(2)", "HeterogeneousMode(2)"])
def test_a_prompt_cannot_run_them_elsewhere_and_is_told_why(mode, serial, folder):
    done = serial("-", stdin=SCRIPT.replace("MODE", mode))

    assert 0 != done.returncode
    assert "is not defined in a file, but workers need one" in done.stderr
    assert "MultithreadedMode()" in done.stderr


# --- where nothing can be spawned


def test_mpich_without_an_mpiexec_is_found_out_before_it_aborts(serial, folder):
    folder.write(SCRIPT.replace("MODE", "DistributedMode(2)"), "exp.py")
    folder.write(
        SCRIPT.replace("    main()", "    pass")
        .replace("def main():\n    experiment", "experiment")
        .replace("    database =", "if 0:\n    database =")
        .replace("MODE", "0"),
        "module.py",
    )
    path = os.pathsep.join(
        part
        for part in os.environ["PATH"].split(os.pathsep)
        if not os.path.exists(os.path.join(part, "mpiexec"))
    )

    done = serial(
        *PACKAGE, "run", "module.py", "--mode", "distributed", env={"PATH": path}
    ).expect(3)

    [line] = [line for line in done.stderr.splitlines() if "MPICH" in line]
    assert "mpiexec, which is not on PATH" in line
    assert f"put {python_of('mpich').parent} on PATH" in line
    assert "mpirun -n N python -m experimenter_mpi run SCRIPT --mode mpi" in line
    assert "Traceback" not in done.stderr
    assert {"pending": 6} == folder.statuses()


@pytest.mark.skipif(os.geteuid() != 0, reason="Open MPI refuses to spawn for root only")
def test_an_mpi_that_refuses_to_spawn_is_explained(launches, folder):
    folder.write(SCRIPT.replace("MODE", "DistributedMode(2)"), "script.py")
    refusing = {"PRTE_ALLOW_RUN_AS_ROOT": "0", "OMPI_ALLOW_RUN_AS_ROOT": "0"}

    done = start_alone(launches, "script.py", library="openmpi", env=refusing).wait(60)

    assert 0 != done.returncode
    assert "MPI cannot start workers from here" in done.stderr + done.stdout
    assert "--mode mpi" in done.stderr


# --- where no MPI library loads


def test_a_mode_that_needs_mpi_is_refused_without_it(serial, folder):
    """A serial run in its place would take ages, and nobody would know why."""
    folder.write("""
from experimenter_mpi import Experiment
experiment = Experiment("one", function=lambda c, trial_id: {}, configuration={})
""")
    broken = {"MPI4PY_LIBMPI": "/no/such/libmpi.so"}

    for mode in ("mpi", "distributed"):
        verb = (*PACKAGE, "run", "exp.py", "--mode", mode)
        done = serial(*verb, env=broken).expect(3)

        assert "no MPI library can be loaded" in done.stderr
    serial(*verb[:-1], "mpi", "--dry-run", env=broken).expect(0)


NO_MPI = 'raise RuntimeError("cannot load MPI library\\nno libmpi.so")\n'


@pytest.mark.parametrize(
    ("mode", "code"), [("MultithreadedMode(2)", 0), ("DistributedMode(2)", 1)]
)
def test_without_mpi_threads_work_and_workers_are_explained(mode, code, serial, folder):
    (folder.path / "without" / "mpi4py").mkdir(parents=True)
    folder.write("", "without/mpi4py/__init__.py")
    folder.write(NO_MPI, "without/mpi4py/MPI.py")
    folder.write("from . import MPI\n", "without/mpi4py/futures.py")
    folder.write(SCRIPT.replace("MODE", mode), "script.py")

    done = serial("script.py", env={"PYTHONPATH": str(folder.path / "without")})

    assert code == done.returncode, done
    if code:
        assert "no MPI library can be loaded" in done.stderr
    else:
        assert [1, 4, 9, 16, 25, 36] == squares(folder)
