"""A run that seems stuck says where it is, and goes on: SIGQUIT, and deadlines."""

from __future__ import annotations

import json
import os
import re
import signal
import sys

import pytest

from support.launch import TRAIL
from support.ways import WAYS

LIBRARIES = ["mpich", "openmpi"]
# A trial goes on once it is told to, in whichever process it runs.
WAITING = """
import os, time
from experimenter_mpi import (
    Experiment, IntegerVariable, save_snapshot_in_global_database,
)

def trial(configuration, trial_id):
    save_snapshot_in_global_database(trial_id, {"n": 1}, "half way")
    wait_for_the_file(configuration["n"])
    return {"n": configuration["n"]}

def wait_for_the_file(n):
    with open("begun.txt", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists("go.txt"):
        time.sleep(0.01)

experiment = Experiment(
    "waiting", function=trial, configuration={"n": IntegerVariable(0, 3)}
)
"""


@pytest.fixture
def waiting(folder, launches):
    """Start a run in one of the ways, and wait until so many trials run."""
    folder.write(WAITING)

    def start(name, library, trials, *options):
        running = WAYS[name].start_run(launches, *options, library=library)
        file = folder.path / "begun.txt"
        running.wait_for(
            lambda: file.exists() and file.read_text().count("\n") >= trials
        )
        return running

    return start


def let_go(folder):
    (folder.path / "go.txt").touch()


def reports(printed):
    """Return what each rank said of itself, by its number."""
    found = re.split(r"experimenter_mpi: rank (\d+) on \S+, process \d+, ", printed)
    return {
        int(rank): text for rank, text in zip(found[1::2], found[2::2], strict=True)
    }


@pytest.mark.parametrize("options", [(), ("--isolate",)])
def test_a_serial_run_says_where_it_is_and_goes_on(options, waiting, folder):
    running = waiting("serial", "mpich", 1, *options)

    running.send_signal(signal.SIGQUIT)
    running.wait_for("in wait_for_the_file")
    running.wait_for("SaveSnapshot")
    running.send_signal(signal.SIGQUIT)
    running.wait_for(lambda: running.stderr.count(TRAIL) == 2)
    running.wait_for(lambda: running.stderr.count("in wait_for_the_file") == 2)
    let_go(folder)

    done = running.wait().expect(0)
    said = reports(done.stderr)[0]
    assert re.search(r"rank 0 on \S+ runs trial 0 for \d+\.\d s", said)
    assert re.search(r"#\d+ +\d+\.\d{3} s  receives from 1 +SaveSnapshot +of \S+", said)
    assert {"finished": 4} == folder.statuses()


@pytest.mark.launches
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("name", "options"),
    [("coordinated", ()), ("coordinated", ("--isolate",)), ("heterogeneous", ())],
)
def test_every_rank_says_where_it_is_and_goes_on(
    name, options, library, waiting, folder
):
    running = waiting(name, library, 2, *options)
    ranks = running.ranks()

    if library == "mpich":  # whose launcher passes it on
        running.send_signal(signal.SIGQUIT)
    else:
        for pid in ranks:
            os.kill(pid, signal.SIGQUIT)
    running.wait_for(lambda: running.stderr.count(TRAIL) == len(ranks) == 3)
    running.wait_for(lambda: running.stderr.count("in wait_for_the_file") >= 2)
    let_go(folder)

    done = running.wait().expect(0)
    said = reports(done.stderr)
    assert [0, 1, 2] == sorted(said)
    for rank in (1, 2):
        assert re.search(rf"rank {rank} on \S+ runs trial \d for \d+\.\d s", said[0])
        assert re.search(rf"rank {rank} on \S+ runs trial \d for \d+\.\d s", said[rank])
        assert re.search(r"sends to +0 +SaveSnapshot +of \S+ 'half way'", said[rank])
    assert "decides" in said[0]
    assert "commit: " in said[0]
    assert {"finished": 4} == folder.statuses()


IN_C = """
import ctypes, os, signal
from experimenter_mpi import Experiment

def trial(configuration, trial_id):
    library = ctypes.PyDLL(None)  # holds Python's lock, as some libraries do
    with open("begun.txt", "w") as file:
        file.write("1\\n")
    while not os.path.exists("go.txt"):
        library.usleep(300_000)
    return {}

experiment = Experiment("in C", function=trial, configuration={})
"""


def test_a_library_that_keeps_python_from_running_shows_its_stacks(
    waiting, folder, launches
):
    folder.write(IN_C)
    running = WAYS["serial"].start_run(launches, library="mpich")
    running.wait_for((folder.path / "begun.txt").exists)

    running.send_signal(signal.SIGQUIT)
    running.wait_for("in trial")
    let_go(folder)

    running.wait().expect(0)
    assert "trial 0" in reports(running.stderr)[0]


def test_after_the_run_sigquit_is_what_it_was(serial, folder):
    folder.write(
        WAITING
        + """
import signal
import sys
from experimenter_mpi import execute, open_db
open("go.txt", "w").close()
signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a background job ignores it
before = signal.getsignal(signal.SIGQUIT)
execute(experiment, open_db("experiments.db", "experiments"))
assert before is signal.getsignal(signal.SIGQUIT)
os.kill(os.getpid(), signal.SIGQUIT)
"""
    )

    serial("exp.py").expect(-signal.SIGQUIT)


# --- deadlines

LATE = """
import time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    if configuration["n"] == 0:
        sleep_too_long()
    return {}

def sleep_too_long():
    time.sleep(2)

experiment = Experiment(
    "late", function=trial, configuration={"n": IntegerVariable(0, 3)}
)
"""


@pytest.mark.launches
@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("serial", "mpich"),
        ("multithreaded", "mpich"),
        ("coordinated", "mpich"),
        ("coordinated", "openmpi"),
        ("heterogeneous", "mpich"),
    ],
)
def test_a_trial_that_is_overdue_is_shown_where_it_runs(
    name, library, launches, folder
):
    folder.write(LATE)
    running = WAYS[name].start_run(launches, "--trial-timeout", "0.5", library=library)

    done = running.wait().expect(1)

    assert "trial 0 is overdue; where this process is:" in done.stderr
    assert "in sleep_too_long" in done.stderr
    assert "runs trial 0 for " in done.stderr
    assert {"failed": 1, "finished": 3} == folder.statuses()


@pytest.mark.launches
@pytest.mark.parametrize("name", ["serial", "coordinated"])
def test_trials_that_do_not_end_are_shown_at_the_end_of_the_grace_period(
    name, waiting, folder
):
    running = waiting(name, "mpich", 1 if name == "serial" else 2, "--grace", "0.2")

    os.kill(running.ranks()[0], signal.SIGTERM)

    done = running.wait().expect(75)
    assert "trials still run at the end of the grace period; where" in done.stderr
    assert "runs trial 0 for " in done.stderr
    assert "stop: SIGTERM; running trials have 0.2 s" in done.stderr
    if name == "serial":
        assert "in wait_for_the_file" in done.stderr


def test_after_ctrl_c_nothing_of_it_is_shown(waiting):
    running = waiting("serial", "mpich", 1)

    running.send_signal(signal.SIGINT)

    done = running.wait().expect(75)
    assert "most recent call first" not in done.stderr
    assert TRAIL not in done.stderr


@pytest.mark.launches
def test_a_test_that_waits_in_vain_shows_trails_and_stacks(waiting):
    running = waiting("coordinated", "mpich", 2)

    with pytest.raises(pytest.fail.Exception) as failure:
        running.wait(timeout=0.1)

    assert {0, 1, 2} == set(reports(str(failure.value)))
    assert "Fatal Python error: Aborted" in str(failure.value)


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_what_cannot_be_printed_stops_nothing(where, folder, launches):
    folder.write(WAITING)
    running = launches.start_shell(
        f"exec {sys.executable} -m experimenter_mpi run exp.py {where}"
    )
    running.wait_for((folder.path / "begun.txt").exists)

    running.send_signal(signal.SIGQUIT)
    let_go(folder)

    running.wait().expect(0)
    assert {"finished": 4} == folder.statuses()


# --- what ``status`` says of it


def status(serial, *options):
    done = serial("-m", "experimenter_mpi", "status", *options).expect(0)
    return done.stdout


def live_of(serial, *options):
    [state] = json.loads(status(serial, "--json", *options))
    return state["live"]


@pytest.mark.launches
@pytest.mark.parametrize(
    ("name", "library", "trials"),
    [
        ("serial", "mpich", 1),
        ("coordinated", "mpich", 2),
        ("coordinated", "openmpi", 2),
    ],
)
def test_status_says_what_each_rank_runs_now(
    name, library, trials, waiting, folder, serial
):
    running = waiting(name, library, trials)

    def shows_all():
        live = live_of(serial)
        return live is not None and len(live["running"]) == trials

    running.wait_for(shows_all)
    live = live_of(serial, "--verbose")
    printed = status(serial, "--verbose")
    plain = status(serial)
    let_go(folder)
    running.wait().expect(0)

    assert live["is_on"]
    ranks = [0] if name == "serial" else [1, 2]
    assert ranks == sorted(each["rank"] for each in live["running"])
    assert (0, 4, 0) == (live["done"], live["total"], live["failed"])
    assert any("SaveSnapshot" in line for line in live["trail"])
    assert re.search(r"waiting: what runs, as rank 0 wrote .* ago \(0 of 4", printed)
    assert re.search(rf"^ +{ranks[0]} +\S+ +\d +\S+ ", printed, re.MULTILINE)
    assert "SaveSnapshot" in printed
    assert "what runs" not in plain
    assert live_of(serial) is None
    assert [] == list(folder.database.parent.glob("*.trail*"))


def test_of_a_run_that_died_status_says_what_it_ran(waiting, folder, serial):
    running = waiting("serial", "mpich", 1)
    running.wait_for(lambda: (live_of(serial) or {}).get("running"))

    running.send_signal(signal.SIGKILL)
    running.wait()

    assert "waiting: the run died; what it ran" in status(serial, "--verbose")
    assert not live_of(serial)["is_on"]
    let_go(folder)
    serial("-m", "experimenter_mpi", "run", "exp.py").expect(0)
    assert live_of(serial) is None


def test_watching_shows_each_rank(waiting, folder, start_serial):
    waiting("serial", "mpich", 1)
    watching = start_serial("-m", "experimenter_mpi", "status", "--watch")

    watching.wait_for("waiting: what runs, as rank 0 wrote")
    watching.wait_for("rank")

    watching.send_signal(signal.SIGINT)
    watching.wait(30).expect(0)


def test_several_databases_are_shown_together(serial, folder):
    folder.write(WAITING)
    let_go(folder)
    for k in (1, 2):
        share = ("--share", f"{k}/2", "--db", f"share-{k}.db")
        serial("-m", "experimenter_mpi", "run", "exp.py", *share).expect(0)

    printed = status(serial, "share-1.db", "share-2.db")
    states = json.loads(status(serial, "share-1.db", "share-2.db", "waiting", "--json"))

    assert re.search(r"^share-1\.db +waiting +4 +2 ", printed, re.MULTILINE)
    assert re.search(r"^share-2\.db +waiting +4 +2 ", printed, re.MULTILINE)
    assert ["share-1.db", "share-2.db"] == [
        os.path.basename(state["database"]) for state in states
    ]


def test_more_than_one_name_is_refused(serial):
    done = serial("-m", "experimenter_mpi", "status", "a.db", "heat", "cold").expect(2)

    assert "one NAME at a time, not heat and cold" in done.stderr
