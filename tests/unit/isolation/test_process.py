"""What a child needs before its first trial, and what is said when it cannot be had."""

from __future__ import annotations

import functools
import os
import sys
import uuid

import pytest

from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import IsolationError, ScriptError, StoreError
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.isolation import process
from experimenter_mpi.isolation.children import ChildProcesses
from experimenter_mpi.trial import script as scripts
from experimenter_mpi.trial.briefing import (
    Briefing,
    experiment_of,
    origin_of,
    pack_if_possible,
    require_remakable,
    script_of,
)
from experimenter_mpi.trial.outcome import Status
from support.fakes import WITH_PACKAGE

pytestmark = pytest.mark.usefixtures("deadline")
ID = uuid.UUID(int=7)
N = IntegerVariable(0, 9)
HEADER = "import os, sys\nfrom experimenter_mpi import *\n"
MADE = "experiment = Experiment('heat', function=trial, configuration={'n': 1})\n"


def simulate(configuration, trial_id):
    return {}


def build(configuration):
    return {}


def make(**others):
    return Experiment("heat", configuration={"n": N}, **others)


def job_for(configuration, script=None):
    packed = None if configuration is None else pack_if_possible(configuration)
    job = Briefing("heat", ID, packed, script, None, None, None, None, None, False)
    return job._replace(isolate=True)


@pytest.fixture
def script(tmp_path):
    """Return an exp.py of this source, as rank 0 has read it."""
    return lambda source: scripts.Script(
        str(tmp_path / "exp.py"), (HEADER + source).encode()
    )


@pytest.fixture
def start(script):
    started = []

    def start(source):
        children = ChildProcesses(job_for(None, script(source)), None)
        started.append(children.start(None, Drain()))
        return started[-1]

    yield start
    for attempts in started:
        attempts.close()


# --- functions that a child finds again, and others


@pytest.mark.parametrize(
    "functions",
    [
        {"function": simulate, "init_store": build},
        {"function_name": "simulate", "init_store_function_name": "build"},
        {"function": simulate},
        {"function": functools.partial(simulate)},
    ],
)
def test_a_function_at_the_top_of_a_module_is_found_again(functions):
    experiment = make(**functions)
    job = job_for({"n": N}, script_of(experiment))
    found = experiment_of(job._replace(main=origin_of(experiment)))

    assert 10 == len(found)
    assert experiment.function_name == found.function_name
    assert experiment.init_store_function_name == found.init_store_function_name
    assert found.namespace is globals()


def local_function():
    def local(configuration, trial_id):
        return {}

    return local


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda *_: {}, "<lambda>"),
        (local_function(), "local_function.<locals>.local"),
    ],
)
def test_a_function_without_a_name_of_its_own_is_refused_beforehand(function, name):
    with pytest.raises(IsolationError, match=r"define both with `def` at the top"):
        require_remakable(make(function=function))
    with pytest.raises(IsolationError, match=name):
        require_remakable(make(function=function))


def test_so_is_a_store_function():
    with pytest.raises(IsolationError, match="store function"):
        require_remakable(make(function=simulate, init_store=lambda _: {}))


def test_what_was_defined_in_a_notebook_is_refused_beforehand():
    experiment = make(function=simulate)
    experiment.namespace = {"__name__": "__main__", "__spec__": None}

    with pytest.raises(IsolationError, match="not defined in a file"):
        require_remakable(experiment)


def test_any_function_will_do_where_the_file_makes_the_experiment(script):
    source = "experiment = Experiment('heat', function=lambda *_: 5, configuration={})"
    found = experiment_of(job_for(None, script(source)))
    sys.modules.pop("exp", None)

    assert 5 == found.function()


def test_a_name_found_by_another_thing_of_that_name_is_not_taken_for_it(monkeypatch):
    """As where a decorator has replaced the function."""
    experiment = make(function=simulate)
    monkeypatch.setitem(globals(), "simulate", build)

    with pytest.raises(IsolationError, match="simulate"):
        require_remakable(experiment)


# --- children that cannot begin


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        ("1 / 0\n", ScriptError, "ZeroDivisionError"),
        ("def other(*_): pass\n", ScriptError, "defines no experiment 'heat'"),
        ("os._exit(4)\n", IsolationError, "could not load .*exp.py.*exit code 4"),
        (
            (
                "def trial(*_): pass\ndef build(_): raise ValueError('no data')\n"
                "experiment = Experiment('heat', function=trial, init_store=build, "
                "configuration={})\n"
            ),
            StoreError,
            "the store function 'build' raised ValueError: no data",
        ),
        (
            (
                "def trial(*_): pass\ndef build(_): os.kill(os.getpid(), 11)\n"
                "experiment = Experiment('heat', function=trial, init_store=build, "
                "configuration={})\n"
            ),
            IsolationError,
            "and build the store: its process was killed by SIGSEGV",
        ),
    ],
    ids=["script", "experiment", "exit", "store", "crash"],
)
def test_what_keeps_a_child_from_beginning_is_said(start, source, error, text):
    with pytest.raises(error, match=text):
        start(source)


def test_a_script_that_executes_when_it_is_loaded_is_told_how_not_to(start):
    with pytest.raises(ScriptError, match="put the call under `if __name__"):
        start("def trial(*_): return {}\n" + MADE + "execute(experiment, None)\n")


def test_a_system_without_room_for_a_process_is_an_error_that_says_so(
    start, monkeypatch
):
    def refuse(*_args, **_options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "posix_spawn", refuse)

    with pytest.raises(IsolationError, match="Resource temporarily unavailable"):
        start("def trial(*_): return {}\n" + MADE)
    assert before == len(os.listdir("/proc/self/fd"))


def test_a_child_that_cannot_be_replaced_fails_the_trials_until_one_can(
    start, tmp_path
):
    attempts = start(f"""
bad = {str(tmp_path / "bad")!r}
if os.path.exists(bad):
    raise OSError("the licence server is down")
def trial(configuration, trial_id):
    if configuration["n"] == 0:
        os._exit(1)
    return {{}}
experiment = Experiment(
    "heat", function=trial, configuration={{"n": IntegerVariable(0, 9)}})
""")
    attempts.run(0)
    (tmp_path / "bad").touch()
    failed = attempts.run(1).outcome
    (tmp_path / "bad").unlink()

    assert "licence server" in failed.failure.message
    assert Status.FINISHED == attempts.run(1).outcome.status


def test_a_child_finds_packages_where_this_process_does(monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "/somewhere"])

    assert [os.getcwd(), "/somewhere"] == process._search_path()


# --- a child that ends with its parent


DYING = """
import fcntl, os, sys, time
from experimenter_mpi.isolation.child import die_with_parent
if "elsewhere" in sys.argv:
    del fcntl.F_SETSIG
lifeline, other_end = os.pipe()
if "early" in sys.argv:
    os.close(other_end)
die_with_parent(lifeline)
if "early" not in sys.argv:
    os.close(other_end)
time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (["linux"], -9),
        (["elsewhere"], -9),
        (["early"], 1),
        (["elsewhere", "early"], -9),
    ],
)
def test_a_child_ends_when_its_lifeline_does(serial, how, code):
    serial("-c", DYING, *how, env=WITH_PACKAGE).expect(code)
