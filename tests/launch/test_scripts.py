"""A script that calls open_db and execute itself, under mpirun and alone."""

from __future__ import annotations

import pytest

SCRIPT = """
import os
from experimenter_mpi import (
    Experiment, IntegerVariable, MPIMode, NotCoordinatorError, execute, get_trials,
    open_db,
)

def trial(configuration, trial_id):
    return {"square": configuration["n"] ** 2}

experiment = Experiment(
    "squares", function_name="trial", configuration={"n": IntegerVariable(1, 20)}
)
database = open_db("squares.db")
summary = execute(experiment, database, MPIMode(batch_size=3))
try:
    found = len(get_trials(database, experiment.id))
except NotCoordinatorError:
    found = "none of my business"
counts = f"{summary.finished} + {summary.skipped}"
print(f"{found}; {counts}; id {experiment.id}", flush=True)
"""


def words(done):
    return sorted(line.split("; id ")[0] for line in done.stdout.splitlines())


def test_code_after_execute_runs_on_every_rank_with_the_stored_id(mpirun, folder):
    folder.write(SCRIPT)

    first = mpirun(4, "exp.py").expect(0)
    again = mpirun(4, "exp.py").expect(0)

    assert ["20; 20 + 0", *["none of my business; 20 + 0"] * 3] == words(first)
    assert ["20; 0 + 20", *["none of my business; 0 + 20"] * 3] == words(again)
    ids = {
        line.split("; id ")[1] for line in (first.stdout + again.stdout).splitlines()
    }
    assert 1 == len(ids)


def test_a_script_with_mpi_mode_runs_serially_on_a_laptop_and_says_so(serial, folder):
    folder.write(SCRIPT)

    done = serial("exp.py").expect(0)

    assert ["20; 20 + 0"] == words(done)
    assert "running serially" in done.stderr


@pytest.mark.parametrize("mode", ["SerialMode", "SerialMode()"])
def test_serial_mode_under_mpirun_uses_rank_0_and_says_so(mode, mpirun, folder):
    script = SCRIPT.replace("MPIMode(batch_size=3)", mode)
    folder.write(script.replace("MPIMode", "SerialMode"))

    done = mpirun(3, "exp.py").expect(0)

    assert "SerialMode uses 1 of 3 ranks" in done.stderr
    assert ["20; 20 + 0", *["none of my business; 20 + 0"] * 2] == words(done)


def test_an_error_of_rank_0_reaches_every_rank_and_none_hangs(mpirun, folder):
    folder.write(SCRIPT)
    mpirun(2, "exp.py").expect(0)
    folder.write(SCRIPT.replace("(1, 20)", "(1, 30)"))

    done = mpirun(4, "exp.py", timeout=30)

    assert 0 != done.returncode
    assert 1 == done.stderr.count("n: IntegerVariable(1, 20) -> ")
    assert "Traceback" not in done.stderr


def test_an_uncaught_exception_on_one_rank_ends_them_all(mpirun, folder):
    folder.write(
        SCRIPT.replace(
            "summary =", "if os.environ.get('PMI_RANK') == '0': 1 / 0\nsummary ="
        )
    )

    done = mpirun(3, "exp.py", timeout=30)

    assert 0 != done.returncode
    assert "ZeroDivisionError" in done.stderr


def test_rank_0s_random_configuration_is_the_one_that_counts(mpirun, folder):
    folder.write(
        SCRIPT.replace(
            "IntegerVariable(1, 20)",
            'IntegerVariable(1, int.from_bytes(os.urandom(2), "big") + 1)',
        )
    )

    mpirun(4, "exp.py").expect(0)

    connection = __import__("sqlite3").connect(folder.path / "experiments/squares.db")
    rows = connection.execute(
        "SELECT configuration ->> '$.n', results ->> '$.square' FROM trials"
    ).fetchall()
    connection.close()
    assert [n * n for n, _ in rows] == pytest.approx([square for _, square in rows])


def test_include_file_and_directory_are_found_on_every_rank(mpirun, folder):
    (folder.path / "work").mkdir()
    (folder.path / "work" / "physics.py").write_text("""
import os
def trial(configuration, trial_id):
    return {"folder": os.path.basename(os.getcwd())}
def build(configuration):
    return {}
""")
    folder.write("""
from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db

experiment = Experiment(
    "included", function_name="trial", include_file="physics.py",
    init_store_function_name="build", configuration={"n": IntegerVariable(1, 5)},
)
database = open_db("experiments.db")
execute(experiment, database, MPIMode(), directory="work")
""")

    mpirun(3, "exp.py").expect(0)

    assert [("work", 5)] == folder.query(
        "SELECT results ->> '$.folder', count(*) FROM trials GROUP BY 1"
    )


def test_a_second_experiment_starts_from_the_end_states_of_the_first(mpirun, folder):
    folder.write("""
from experimenter_mpi import (
    Experiment, IntegerVariable, MatchIterableVariable,
    get_results_from_trial_global_database,
)

def warm_up(configuration, trial_id):
    return {"state": configuration["n"] * 100}

def go_on(configuration, trial_id):
    before = get_results_from_trial_global_database(configuration["start"])
    return {"state": before["state"] + 1}

first = Experiment(
    "first", function=warm_up, configuration={"n": IntegerVariable(1, 6)},
    id="7d1a1d7e-5c0e-4b57-8f6a-0f6b1d0f1c11",
)
second = Experiment(
    "second", function=go_on,
    configuration={"start": MatchIterableVariable([trial.id for trial in first])},
)
""")

    mpirun(3, "-m", "experimenter_mpi", "run", "exp.py").expect(0)

    assert [(n * 100 + 1,) for n in range(1, 7)] == folder.query(
        "SELECT results ->> '$.state' FROM trials JOIN experiments "
        "ON experiment_id = experiments.id WHERE name = 'second' ORDER BY trial_index"
    )


def test_a_workers_own_mistake_ends_the_job_with_its_explanation(mpirun, folder):
    """The likeliest first mistake: reading results on every rank."""
    folder.write(SCRIPT + "get_trials(database, experiment.id)\n")

    done = mpirun(3, "exp.py", timeout=30)

    assert 0 != done.returncode
    assert "only rank 0 holds the database" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_script_that_executes_while_it_is_loaded_is_refused(mpirun, folder):
    """`run` would run it twice, and with --dry-run although it should not at all."""
    folder.write(SCRIPT)

    done = mpirun(2, "-m", "experimenter_mpi", "run", "exp.py", "--dry-run").expect(3)

    assert 'put the call under `if __name__ == "__main__":`' in done.stderr
    assert not folder.database.exists()


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_a_trial_may_start_a_program_that_uses_this_package(library, mpirun, folder):
    """It inherits the rank's variables: MPI would abort in it, or wait for ever."""
    folder.write(SCRIPT.replace("squares", "inner"), "inner.py")
    folder.write("""
import subprocess, sys
from experimenter_mpi import Experiment

def trial(configuration, trial_id):
    done = subprocess.run(
        [sys.executable, "inner.py"], capture_output=True, text=True, check=False
    )
    return {"code": done.returncode, "said": done.stdout.partition(";")[0]}

experiment = Experiment("outer", function=trial, configuration={})
""")

    run = ("-m", "experimenter_mpi", "run", "exp.py")
    mpirun(2, *run, library=library, timeout=40).expect(0)

    query = "SELECT results ->> '$.code', results ->> '$.said' FROM trials"
    assert [(0, "20")] == folder.query(query)


# A thread of each worker sends its own process signals while it waits for rank 0, which
# goes on when all have done so.
BETWEEN = """
import os, signal, sys, threading, time
from pathlib import Path
from experimenter_mpi import Experiment, IntegerVariable, MPIMode, execute, open_db

def trial(configuration, trial_id):
    return {}

main = threading.get_ident()

def is_waiting():
    frame = sys._current_frames()[main]
    while frame is not None and frame.f_code.co_name != "_order":
        frame = frame.f_back
    return frame is not None

def signal_this():
    while not is_waiting():
        time.sleep(0.01)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        os.kill(os.getpid(), number)
    Path(f"signalled-{os.getpid()}").touch()

def wait_for_workers(count):
    while len(list(Path.cwd().glob("signalled-*"))) < count:
        time.sleep(0.01)
    for path in Path.cwd().glob("signalled-*"):
        path.unlink()

database = open_db("experiments.db")
for generation in range(2):
    made = Experiment(
        f"g{generation}", function=trial, configuration={"n": IntegerVariable(1, 5)}
    )
    if generation == 1 and database.is_coordinator:
        wait_for_workers(2)
    elif generation == 1:
        threading.Thread(target=signal_this, daemon=True).start()
    execute(made, database, MPIMode())
if database.is_coordinator:
    wait_for_workers(2)
else:
    threading.Thread(target=signal_this, daemon=True).start()
"""


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_workers_that_wait_for_rank_0_leave_signals_to_it(library, mpirun, folder):
    """Between two experiments, and at the end of the script."""
    folder.write(BETWEEN)

    mpirun(3, "exp.py", library=library).expect(0)

    assert {"finished": 10} == folder.statuses()
