"""Trials that start processes of their own: strangers to the run, in every mode."""

from __future__ import annotations

import pytest

from support.ways import WAYS

# Each of the habits that people have, by the name of what multiprocessing calls it.
FORKING = """
import multiprocessing, os, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from experimenter_mpi import Experiment, IterableVariable, RepeatVariable

def square(x):
    return x * x

def pool(context):
    with context.Pool(2) as workers:
        return sum(workers.map(square, range(10)))

def executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        return sum(workers.map(square, range(10)))

def terminated(context):
    process = context.Process(target=time.sleep, args=(3600,))
    process.start()
    process.terminate()
    process.join(60)
    code, _ = process.exitcode, process.kill()
    return code

def leave(n):
    if n == 0:
        sys.exit(3)
    if n == 1:
        raise ValueError("of a child")
    if n == 2:
        sys.exit()
    return {"of": "a child"}

def trial(configuration, trial_id):
    habit = configuration["habit"]
    if habit in ("pool", "executor", "terminated"):
        context = multiprocessing.get_context(configuration["context"])
        return {"found": globals()[habit](context)}
    codes = []
    for n in range(4):
        pid = os.fork()
        if pid == 0:
            return leave(n)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return {"found": codes}

experiment = Experiment("forking", function=trial, configuration={
    "habit": IterableVariable(%s),
    "context": IterableVariable(%s),
    "again": RepeatVariable(0, %s),
})
"""
HABITS = ["pool", "executor", "terminated", "left"]
FOUND = {"pool": 285, "executor": 285, "terminated": -15, "left": "[3,1,0,0]"}


def found(folder):
    return folder.query(
        "SELECT DISTINCT configuration ->> '$.habit', status, "
        "results ->> '$.found' FROM trials ORDER BY 1"
    )


# Another library matters to the processes that it has started: ranks and spawned ones.
RUNS = [(name, (), "mpich") for name in WAYS]
RUNS += [(name, (), "openmpi") for name in ("coordinated", "distributed-alone")]
ISOLATED = ("serial", "multithreaded", "coordinated")
RUNS += [(name, ("--isolate",), "mpich") for name in ISOLATED]
RUNS += [("coordinated", ("--isolate",), "openmpi")]


@pytest.mark.launches
@pytest.mark.parametrize(("name", "options", "library"), RUNS)
def test_what_a_trial_forks_is_a_stranger_to_the_run(
    name, options, library, launches, folder
):
    folder.write(FORKING % (HABITS, ["fork"], 3))
    running = WAYS[name].start_run(
        launches, *options, "--progress", "none", library=library, cwd=folder.path
    )

    done = running.wait(240).expect(0)

    assert "forking: 12 finished, 0 failed" in done.stdout
    assert sorted((h, "finished", f) for h, f in FOUND.items()) == found(folder)
    assert "no new trials" not in done.stderr
    assert [] == running.processes()


@pytest.mark.launches
@pytest.mark.parametrize("name", ["serial", "coordinated"])
def test_processes_that_are_not_forked_work_as_well(name, launches, folder):
    folder.write(FORKING % (HABITS[:3], ["spawn", "forkserver"], 1))
    running = WAYS[name].start_run(
        launches, "--progress", "none", library="mpich", cwd=folder.path
    )

    running.wait(240).expect(0)

    known = {h: f for h, f in FOUND.items() if h != "left"}
    assert sorted((h, "finished", f) for h, f in known.items()) == found(folder)
