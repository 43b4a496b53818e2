"""Where what is printed cannot be written: a full disk, a closed pipe, no log."""

from __future__ import annotations

import shlex
import signal

import pytest

from support.experiments import PACKAGE, Folder
from support.launch import wait_until
from support.libraries import python_of

LOUD = """
import sys, time
from experimenter_mpi import *

def trial(configuration, trial_id):
    print("a line of a trial", "x" * 5000)
    print("and another", file=sys.stderr)
    return {"n": 1 / configuration["n"]}

experiment = Experiment(
    "loud", function=trial, configuration={"n": IntegerVariable(FIRST, 20)}
)
"""

SCRIPT = """
if __name__ == "__main__":
    database = open_db("experiments.db")
    summary = execute(experiment, database, MPIMode, use_progress="log")
    raise SystemExit(summary.exit_code)
"""

# Where the two streams of a process go.
BROKEN = {
    "both are full": ">/dev/full 2>&1",
    "output is full": ">/dev/full",
    "errors are full": "2>/dev/full",
    "both are closed": ">&- 2>&-",
    "errors are closed": "2>&-",
    "nobody reads": "2>&1 | true",
    "nobody reads the errors": "2>&1 >/dev/null | true",
}
ON_RANKS = ["both are full", "both are closed", "nobody reads"]


@pytest.fixture
def loud(folder):
    folder.write(LOUD.replace("FIRST", "1"))
    return folder


def ended(folder: Folder):
    """Return what is recorded of the run: its trials by status, and its end."""
    [(how,)] = folder.query("SELECT ended FROM runs")
    return folder.statuses(), how


def run_shell(launches, folder, *arguments, where):
    """Run Python with these arguments and its streams so; give its exit code."""
    command = shlex.join(map(str, (python_of("mpich"), *arguments)))
    redirected, pipe, reader = where.partition("|")
    text = f"( {command}; echo $? >code ) {redirected} {pipe} {reader}"
    launches.start_shell(text).wait(60)
    return int((folder.path / "code").read_text())


@pytest.mark.launches
@pytest.mark.parametrize(
    ("where", "progress"),
    [*((where, "log") for where in BROKEN), ("both are full", "bar")],
)
def test_a_run_ends_as_if_its_log_were_written(launches, loud, where, progress):
    run = (*PACKAGE, "run", "exp.py", "--progress", progress)

    assert 0 == run_shell(launches, loud, *run, where=BROKEN[where])
    assert ({"finished": 20}, "finished") == ended(loud)


@pytest.mark.launches
@pytest.mark.parametrize(
    "options",
    [("--isolate",), ("--mode", "multithreaded", "--threads", "2")],
    ids=["isolated", "multithreaded"],
)
def test_so_it_does_in_other_ways_of_running(launches, loud, options):
    run = (*PACKAGE, "run", "exp.py", *options)

    assert 0 == run_shell(launches, loud, *run, where=BROKEN["both are full"])
    assert ({"finished": 20}, "finished") == ended(loud)


@pytest.mark.launches
def test_failed_trials_are_told_by_the_exit_code_all_the_same(launches, folder):
    folder.write(LOUD.replace("FIRST", "0"))

    run = (*PACKAGE, "run", "exp.py")
    assert 1 == run_shell(launches, folder, *run, where=BROKEN["both are full"])
    assert ({"finished": 20, "failed": 1}, "failed") == ended(folder)


def each_rank(where):
    """Give a launcher that starts a rank with its streams so, and its exit code."""
    redirected, pipe, reader = BROKEN[where].partition("|")
    text = f'{{ ( "$@"; echo $? >&3 ) {redirected} {pipe} {reader}; }} 3>&1'
    return ("bash", "-c", f"exit $({text})", "bash")


@pytest.mark.parametrize(
    ("library", "where"),
    [*(("mpich", where) for where in ON_RANKS), ("openmpi", "both are full")],
)
def test_a_run_on_ranks_ends_as_if_their_logs_were_written(
    mpirun, loud, where, library
):
    more = {"launcher": each_rank(where), "library": library}

    mpirun(3, *PACKAGE, "run", "exp.py", **more).expect(0)
    assert ({"finished": 20}, "finished") == ended(loud)


def test_so_does_a_script_of_ones_own(mpirun, loud):
    loud.write(LOUD.replace("FIRST", "1") + SCRIPT)

    mpirun(3, "exp.py", launcher=each_rank("both are full")).expect(0)
    assert ({"finished": 20}, "finished") == ended(loud)


@pytest.mark.launches
@pytest.mark.parametrize("where", ON_RANKS)
def test_so_does_a_script_alone(launches, loud, where):
    source = LOUD.replace("FIRST", "1") + SCRIPT
    loud.write(source.replace("MPIMode", "SerialMode"))

    assert 0 == run_shell(launches, loud, "exp.py", where=BROKEN[where])
    assert ({"finished": 20}, "finished") == ended(loud)


@pytest.mark.parametrize(
    ("library", "where"),
    [
        ("mpich", "both are full"),
        ("mpich", "nobody reads"),
        ("openmpi", "both are full"),
    ],
)
@pytest.mark.parametrize("rank", ["coordinator", "worker"])
def test_a_bug_ends_all_ranks_though_it_cannot_be_printed(
    mpirun, loud, where, rank, library
):
    bug = f"assert database.is_coordinator is {rank == 'worker'}\n"
    source = LOUD.replace("FIRST", "1") + SCRIPT.replace(
        "    raise", f"    {bug}    raise"
    )
    loud.write(source)

    done = mpirun(3, "exp.py", launcher=each_rank(where), library=library, timeout=40)

    assert 0 != done.returncode


@pytest.mark.launches
@pytest.mark.parametrize("where", ["both are full", "both are closed"])
def test_a_signal_drains_a_run_whose_log_is_broken(launches, loud, where):
    source = LOUD.replace("FIRST", "1")
    slow = "    open('began', 'w')\n    time.sleep(0.2)\n    return"
    loud.write(source.replace("    return", slow))
    command = shlex.join(map(str, (python_of("mpich"), *PACKAGE, "run", "exp.py")))

    running = launches.start_shell(f"exec {command} {BROKEN[where]}")
    wait_until((loud.path / "began").exists)
    running.send_signal(signal.SIGTERM)

    running.wait(30).expect(75)
    statuses, how = ended(loud)
    assert "stopped" == how
    assert 20 == sum(statuses.values()) > statuses["finished"]


# --- the other verbs

DB = "experiments/experiments.db"
QUERIES = {
    "status": ("status", DB),
    "show": ("show", DB, "loud:0"),
    "results": ("results", DB, "loud", "--csv"),
    "help": ("--help",),
    "job": ("job", "slurm", "exp.py", "--ranks", "2", "--time", "9:00"),
    "doctor": ("doctor",),
}
CHANGES = {
    "run": ("run", "exp.py"),
    "export": ("export", DB, "copy.db", "--all"),
    "merge": ("merge", DB, DB.replace("experiments.db", "other.db")),
    "reset": ("reset", DB, "loud", "1", "--yes"),
    "compact": ("compact", DB),
    "delete": ("delete", DB, "loud", "--yes"),
}


@pytest.fixture
def done(serial, loud):
    serial(*PACKAGE, "run", "exp.py", "--progress", "none").expect(0)
    other = DB.replace("experiments.db", "other.db")
    serial(*PACKAGE, "export", DB, other, "--all").expect(0)
    return loud


def test_a_query_whose_reader_has_gone_ends_quietly(launches, done):
    for verb, arguments in QUERIES.items():
        where = "2>errors | true"
        code = run_shell(launches, done, *PACKAGE, *arguments, where=where)

        assert (verb, 0) == (verb, code)
        assert "" == (done.path / "errors").read_text()


def test_a_query_that_cannot_print_all_says_so(launches, done):
    """Half a table, and exit code 0, would be taken for the whole."""
    for verb, arguments in QUERIES.items():
        where = ">/dev/full 2>errors"
        code = run_shell(launches, done, *PACKAGE, *arguments, where=where)

        expected = "experimenter_mpi: cannot write the output: No space left on device"
        assert (verb, 3) == (verb, code)
        assert [expected] == (done.path / "errors").read_text().splitlines()


@pytest.mark.parametrize("where", ["both are full", "nobody reads"])
def test_what_a_verb_has_done_is_done_whether_or_not_it_can_say_so(
    launches, done, where
):
    for verb, arguments in CHANGES.items():
        code = run_shell(launches, done, *PACKAGE, *arguments, where=BROKEN[where])

        assert (verb, 0) == (verb, code)
    assert [] == done.query("SELECT name FROM experiments")


@pytest.mark.parametrize("where", ["both are full", "both are closed"])
def test_a_mistake_keeps_its_exit_code(launches, done, where):
    for arguments, expected in {
        ("run", "nowhere.py"): 3,
        ("run", "--no-such-option"): 2,
        ("status", "nowhere.db"): 3,
    }.items():
        code = run_shell(launches, done, *PACKAGE, *arguments, where=BROKEN[where])

        assert (arguments, expected) == (arguments, code)
