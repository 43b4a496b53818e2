"""The same experiment in every mode: same rows, same failures, same ways to stop."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from experimenter_mpi import open_db
from support.comparing import comparable
from support.experiments import PACKAGE, Folder
from support.launch import Launches, wait_until
from support.ways import WAYS

# Run once it is interrupted, run again it ends; some of it always fails.
SCENARIO = """
import sys
from contextvars import copy_context
from threading import Thread
import numpy
from experimenter_mpi import (
    Experiment, IntegerVariable, IterableVariable, MatchIterableVariable,
    TrialInterrupted, complete_trial_in_global_database, get_global_store,
    get_latest_snapshot_from_global_database, get_results_from_trial_global_database,
    save_snapshot_in_global_database,
)

def build(configuration):
    return {"offset": configuration["offset"], "table": numpy.arange(4)}

def warm_up(configuration, trial_id):
    n, seed = configuration["n"], configuration["solver"]["seed"]
    configuration["seen"]["by"].append(n)
    drawn = configuration["rng"].random()
    return {
        "state": n * 100 + seed * 1j, "drawn": drawn, "seen": configuration["seen"],
        "label": configuration["label"], "pair": (n, {seed}),
    }

first = Experiment(
    "first", function=warm_up,
    configuration={
        "n": IntegerVariable(0, 5), "seen": {"by": []},
        "solver": {"seed": IterableVariable([10, 20]), "name": "euler"},
        "label": MatchIterableVariable([f"trial {i}" for i in range(12)]),
        "rng": numpy.random.default_rng(2026),
    },
    id="7d1a1d7e-5c0e-4b57-8f6a-0f6b1d0f1c11",
)

def in_a_thread(function, *arguments):
    thread = Thread(target=copy_context().run, args=(function, *arguments))
    thread.start()
    thread.join()

def interrupted(trial_id):
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    if snapshot is None:
        in_a_thread(save_snapshot_in_global_database, trial_id, {"step": 1})
        save_snapshot_in_global_database(trial_id, {"step": numpy.ones(3)}, "two")
        raise TrialInterrupted("to be continued")
    return {"restored": snapshot.state, "label": snapshot.label}

def go_on(configuration, trial_id):
    n = configuration["n"]
    if n == 0:
        raise ValueError("a trial that raises")
    if n == 1:
        return ["no dict"]
    if n == 2:
        sys.exit(7)
    if n == 3:
        return interrupted(trial_id)
    if n == 4:
        complete_trial_in_global_database(trial_id, {"by": "itself"})
    if n == 5:
        return {"large": numpy.arange(200_000.0), "small": numpy.full((2, n), 1.5)}
    start = get_results_from_trial_global_database(first[n].id)
    store = get_global_store()
    return {"state": start["state"] + store["offset"], "table": store["table"]}

second = Experiment(
    "second", function=go_on, init_store=build,
    configuration={"n": IntegerVariable(0, 11), "offset": 0.5},
)
"""

ROWS = (
    "SELECT name, trial_index, trials.configuration, status, attempts, error_type, "
    "error_message, error FROM trials JOIN experiments "
    "ON experiment_id = experiments.id ORDER BY name, trial_index"
)
SNAPSHOTS = (
    "SELECT trial_index, label FROM snapshots JOIN trials ON trial_id = trials.id "
    "ORDER BY sequence"
)
LARGE_ARRAYS = "SELECT count(*), count(data) FROM arrays WHERE nbytes > 1024 * 1024"


def contents(folder: Folder):
    """Return all that is stored, but for when and where it came to be."""
    with open_db(folder.database, read_only=True) as database:
        trials = [
            t for e in ("first", "second") for t in database.get_trials_by_name(e)
        ]
        results = [t.has_finished and comparable(t.results) for t in trials]
        states = [
            comparable(snapshot.state)
            for trial in trials
            for snapshot in database.get_snapshots(trial.id)
        ]
    rows = [(*row[:-1], without_folder(row[-1], folder)) for row in folder.query(ROWS)]
    return rows, folder.query(SNAPSHOTS), results, states


def without_folder(traceback, folder):
    return traceback and traceback.replace(str(folder.path), "")


def run_twice(way, launches, folder, library):
    folder.write(SCENARIO)
    log = ("--progress", "log")
    first = way.start_run(launches, *log, library=library, cwd=folder.path).wait(90)
    again = way.start_run(launches, library=library, cwd=folder.path).wait(90)
    assert_told(first.expect(75), again.expect(1))


def assert_told(first, again):
    assert "first: 12 trials to run on " in first.stderr
    assert "first: 12 of 12 trials" in first.stderr
    assert "second: 11 of 12 trials, 3 failed" in first.stderr
    assert "first: 12 finished, 0 failed" in first.stdout
    assert "second: 8 finished, 3 failed" in first.stdout
    assert "second: 1 finished, 3 failed" in again.stdout
    assert "Traceback" not in first.stderr + again.stderr


def assert_large_array_in_a_file(folder):
    """Written by the worker, and only referred to in the database."""
    assert [(1, 0)] == folder.query(LARGE_ARRAYS)
    assert 1 == len(list(folder.path.glob("experiments/experiments.db.arrays/**/*.h5")))


@pytest.fixture(scope="module")
def of_serial(tmp_path_factory):
    """What SerialMode leaves; the measure of all others."""
    folder = Folder(tmp_path_factory.mktemp("serial"))
    with Launches(folder.path) as launches:
        run_twice(WAYS["serial"], launches, folder, "mpich")
    assert_large_array_in_a_file(folder)
    left = contents(folder)
    assert 24 == len(left[0])
    # What a trial did to its configuration, no other one saw.
    assert 1 == len({each["drawn"] for each in left[2][:12]})
    assert {1} == {len(each["seen"]["by"]) for each in left[2][:12]}
    assert [(3, None), (3, "two")] == left[1]
    assert {"restored": {"step": ("<f8", (3,), [1.0, 1.0, 1.0])}, "label": "two"} in (
        left[2]
    )
    return left


@pytest.mark.launches
@pytest.mark.parametrize("library", ["mpich", "openmpi"])
@pytest.mark.parametrize("name", [name for name in WAYS if name != "serial"])
def test_the_rows_are_those_of_a_serial_run(name, library, launches, folder, of_serial):
    run_twice(WAYS[name], launches, folder, library)

    assert of_serial == contents(folder)
    assert_large_array_in_a_file(folder)


@pytest.mark.launches
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_so_they_are_on_any_number_of_ranks(ranks, launches, folder, of_serial):
    way = replace(WAYS["coordinated"], ranks=ranks)

    run_twice(way, launches, folder, "mpich")

    assert of_serial == contents(folder)


def test_sixty_four_ranks_run_every_trial_once(mpirun, folder):
    folder.write("""
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    return {"square": configuration["n"] ** 2}

experiment = Experiment(
    "squares", function=trial, configuration={"n": IntegerVariable(1, 500)}
)
""")

    done = mpirun(64, *PACKAGE, "run", "exp.py", timeout=120).expect(0)

    assert "squares: 500 finished, 0 failed" in done.stdout
    assert [(500, sum(n * n for n in range(1, 501)))] == folder.query(
        "SELECT count(*), sum(results ->> '$.square') FROM trials "
        "WHERE status = 'finished' AND attempts = 1"
    )


# --- the ancestor's own scenarios, in a script that calls execute()

ANCESTOR = """
import uuid
from experimenter_mpi import *

def trial(configuration, trial_id):
    return {"distance": configuration["N"] * configuration["sigma"]}

def saving(configuration, trial_id):
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    done = snapshot.state["done"] + 1 if snapshot else 0
    save_snapshot_in_global_database(trial_id, {"done": done}, f"after {done}")
    return {"done": done}

def from_store(configuration, trial_id):
    return {"data": get_global_store()["data"][configuration["i"]]}

def make_store(configuration):
    return {"data": [10 * i for i in range(configuration["size"])]}

def following(configuration, trial_id):
    before = get_results_from_trial_global_database(configuration["after"])
    return {"total": before["distance"] + 1}

CONFIGURATION = {
    "N": IterableVariable([1, 2, 3]), "seed": RepeatVariable(7, 2), "sigma": 0.5,
}

def experiment(name="test", function=trial, configuration=CONFIGURATION, **more):
    return Experiment(name, function=function, configuration=configuration, **more)

def run(made, database, **more):
    summary = execute(made, database, MODE, **more)
    assert made.id, "the experiment has the stored id"
    return summary

def main():
    database = open_db("scenarios.db")
    is_coordinator = database.is_coordinator
    first = experiment()
    assert 6 == len(first) == len(list(first))
    summary = run(first, database)
    saved = experiment("saved", saving)
    run(saved, database)
    if is_coordinator:
        # created, and run to the end
        assert (6, 0) == (summary.finished, summary.failed), summary
        trials = get_trials(database, first.id)
        assert [t.configuration["N"] / 2 for t in trials] == [
            t.results["distance"] for t in trials
        ]
        assert all(t.has_finished for t in get_trials_by_name(database, "test"))
        # detected as existing
        assert first.id == restore_from_db(database, experiment()).id
        changed = {**CONFIGURATION, "sigma": 1.0}
        try:
            restore_from_db(database, experiment(configuration=changed))
        except ExperimentMismatchError:
            pass
        else:
            raise AssertionError("another configuration was taken for the same")
        # snapshots were created, and the trials are made to go on from them
        for t in get_trials(database, saved.id):
            assert ["after 0"] == [s.label for s in get_snapshots(database, t.id)]
            mark_trial_as_incomplete(database, t.id)
    run(saved, database)
    again = experiment()
    summary = run(again, database)
    if is_coordinator:
        assert {1} == {t.results["done"] for t in get_trials(database, saved.id)}
        assert {"after 1"} == {
            latest_snapshot(database, t.id).label
            for t in get_trials(database, saved.id)
        }
        # what is finished is not run again
        assert (0, 6) == (summary.finished, summary.skipped), summary
        assert again.id == first.id
    # overwritten with another configuration
    anew = experiment(configuration={**CONFIGURATION, "sigma": 2.0})
    summary = run(anew, database, force_overwrite=True)
    if is_coordinator:
        assert 6 == summary.finished
        assert 2 == len(get_experiments(database))
        assert {2.0, 4.0, 6.0} == {
            t.results["distance"] for t in get_trials_by_name(database, "test")
        }
    # started from another experiment's results
    after = MatchIterableVariable([t.id for t in anew])
    follower = experiment("following", following, {"after": after})
    run(follower, database)
    # from a store that each worker builds once
    store = experiment(
        "store", from_store, {"i": IterableVariable([0, 1, 2]), "size": 3},
        init_store=make_store,
    )
    run(store, database)
    if is_coordinator:
        assert [3.0, 3.0, 5.0, 5.0, 7.0, 7.0] == [
            t.results["total"] for t in get_trials(database, follower.id)
        ]
        data = [t.results["data"] for t in get_trials(database, store.id)]
        assert [0, 10, 20] == data
        assert 1.0 == get_ratio_completed_trials_by_name(database, "store")
        print("all scenarios played")

if __name__ == "__main__":
    main()
"""


@pytest.mark.launches
@pytest.mark.parametrize("name", WAYS)
def test_the_ancestors_scenarios_play_in_every_mode(name, launches, folder):
    way = WAYS[name]
    folder.write(ANCESTOR.replace("MODE", way.expression))

    done = way.start(launches, "exp.py", library="mpich").wait(90).expect(0)

    assert 1 == done.stdout.count("all scenarios played")


# --- Ctrl-C

LONG = """
import time
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    if configuration["n"] >= 4:
        with open("long.txt", "a") as file:
            file.write("begun\\n")
        time.sleep(600)
    return {"n": configuration["n"]}

experiment = Experiment(
    "long", function=trial, configuration={"n": IntegerVariable(0, 11)}
)
"""


def assert_nothing_is_left(running):
    """MPI's own daemons take a moment to notice."""
    wait_until(lambda: not running.processes(), what="the end of every process")


@pytest.mark.launches
@pytest.mark.parametrize("name", WAYS)
def test_ctrl_c_ends_it_although_trials_last_for_ten_minutes(name, launches, folder):
    """With what was finished kept, nothing left running, and soon."""
    folder.write(LONG)
    running = WAYS[name].start_run(launches, library="mpich")
    running.wait_for((folder.path / "long.txt").exists, 60)
    running.wait_for(lambda: 4 == folder.statuses().get("finished"))

    running.send_signal(signal.SIGINT)
    running.wait(30).expect(75)

    assert {"finished": 4, "pending": 8} == folder.statuses()
    assert [("stopped",)] == folder.query("SELECT ended FROM runs")
    assert_nothing_is_left(running)


@pytest.mark.launches
@pytest.mark.parametrize("name", ["distributed-alone", "heterogeneous-alone"])
def test_ctrl_c_leaves_no_spawned_worker_of_open_mpi(name, launches, folder):
    folder.write(LONG)
    running = WAYS[name].start_run(launches, library="openmpi")
    running.wait_for((folder.path / "long.txt").exists, 60)

    running.send_signal(signal.SIGINT)
    running.wait(30).expect(75)

    assert_nothing_is_left(running)


STUBBORN = LONG.replace(
    "        time.sleep(600)",
    """\
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass""",
)


@pytest.mark.launches
@pytest.mark.parametrize("name", ["serial", "multithreaded", "coordinated"])
def test_ctrl_c_ends_a_trial_that_catches_everything(name, launches, folder):
    folder.write(STUBBORN)
    running = WAYS[name].start_run(launches, library="mpich")
    running.wait_for((folder.path / "long.txt").exists, 60)
    running.wait_for(lambda: 4 == folder.statuses().get("finished"))

    running.send_signal(signal.SIGINT)
    running.wait(30).expect(75)

    assert 4 == folder.statuses()["finished"]
    assert_nothing_is_left(running)


@pytest.mark.launches
@pytest.mark.parametrize("name", WAYS)
def test_quick_results_do_not_wait_for_a_long_trial(name, launches, folder):
    """They are committed while it runs, and a crash cannot take them away."""
    folder.write(LONG)

    running = WAYS[name].start_run(launches, library="mpich")
    running.wait_for((folder.path / "long.txt").exists, 60)

    assert running.wait_for(lambda: 4 == folder.statuses().get("finished"))


MIXED = """
from experimenter_mpi import *

def trial(configuration, trial_id):
    return {"n": configuration["n"]}

MODES = [
    DistributedMode, MPIMode, HeterogeneousMode(2), MultithreadedMode(2), SerialMode,
    MultithreadedMode(2), DistributedMode(1), MPIMode(1),
]
if __name__ == "__main__":
    database = open_db("mixed.db")
    for number, mode in enumerate(MODES):
        experiment = Experiment(
            f"e{number}", function=trial, configuration={"n": IntegerVariable(1, 5)}
        )
        summary = execute(experiment, database, mode)
        print(experiment.id, summary.finished, flush=True)
"""


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_one_script_may_use_every_mode_in_turn_on_the_same_ranks(
    library, mpirun, folder
):
    folder.write(MIXED)

    done = mpirun(3, "exp.py", library=library, timeout=60).expect(0)

    lines = [line.split() for line in done.stdout.splitlines()]
    assert 8 == len({experiment_id for experiment_id, _ in lines})
    assert ["5"] * 24 == [finished for _, finished in lines]


RAISING = """
from experimenter_mpi import *

def trial(configuration, trial_id):
    raise ValueError("a trial's own")

def build(configuration):
    raise OSError("no data")

configuration = {"n": IntegerVariable(1, 5)}
if __name__ == "__main__":
    database = open_db("raising.db")
    try:
        made = Experiment("one", function=trial, configuration=configuration)
        execute(made, database, MODE, on_error="raise")
    except (ValueError, TrialError) as error:
        print(f"caught: {error}")
    try:
        made = Experiment(
            "two", function=trial, init_store=build, configuration=configuration
        )
        execute(made, database, MODE)
    except StoreError as error:
        print(f"caught: {error}")
"""


@pytest.mark.launches
@pytest.mark.parametrize("name", WAYS)
def test_a_script_can_catch_what_execute_raises(name, launches, folder):
    way = WAYS[name]
    folder.write(RAISING.replace("MODE", way.expression))

    done = way.start(launches, "exp.py", library="mpich").wait(60).expect(0)

    ranks = way.ranks or 1
    assert [ranks, ranks] == [
        done.stdout.count(t) for t in ("a trial's own", "no data")
    ]


CROWDED = """
import threading, time
from experimenter_mpi import Experiment, IntegerVariable

lock, running, most = threading.Lock(), [], []

def trial(configuration, trial_id):
    if configuration["n"] < 40:
        return {"most": 0}
    with lock:
        running.append(1)
        most.append(len(running))
    time.sleep(0.05)
    with lock:
        running.pop()
    return {"most": max(most)}

experiment = Experiment(
    "crowded", function=trial, configuration={"n": IntegerVariable(0, 59)}
)
"""


@pytest.mark.launches
def test_no_more_trials_run_at_once_than_there_are_threads(launches, folder):
    """However many quick ones came before: mpi4py's pool of threads overshoots."""
    folder.write(CROWDED)

    way = WAYS["multithreaded"]
    way.start_run(launches, library="mpich", cwd=folder.path).wait(60).expect(0)

    [(most,)] = folder.query("SELECT max(results ->> '$.most') FROM trials")
    assert 3 == most
