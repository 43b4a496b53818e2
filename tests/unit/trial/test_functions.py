"""What a rank needs before its first trial: functions found, store built."""

from __future__ import annotations

import os
import types

import pytest

from experimenter_mpi.errors import ScriptError, StoreError
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.trial.functions import find_functions, prepare, working_in
from experimenter_mpi.trial.script import Script

NOT_CALLABLE = 5


def simulate(configuration, trial_id):
    return {}


def build(configuration):
    return {"given": configuration}


def make(**others):
    configuration = {"n": IntegerVariable(1, 2)}
    return Experiment("heat", configuration=configuration, **others)


@pytest.fixture
def included(tmp_path):
    """An included file with functions of the same names as those here."""
    path = tmp_path / "included_functions.py"
    return Script(
        str(path),
        b"def simulate(configuration, trial_id): return {'from': 'included'}\n"
        b"def build(configuration): return {'from': 'included'}\n",
    )


def test_names_are_looked_up_where_the_experiment_was_made():
    experiment = make(function_name="simulate", init_store_function_name="build")

    assert (simulate, build) == find_functions(experiment)


def test_callables_are_taken_as_they_are():
    def local(configuration, trial_id):
        return {}

    experiment = make(function=local, init_store=build)

    assert (local, build) == find_functions(experiment)


def test_without_a_store_function_none_is_found():
    assert (simulate, None) == find_functions(make(function_name="simulate"))


def test_names_are_looked_up_in_the_included_file_if_there_is_one(included):
    experiment = make(function_name="simulate", init_store_function_name="build")
    function, init_store = find_functions(experiment, included)

    assert {"from": "included"} == function({}, None) == init_store({})


def test_a_function_that_is_missing_is_named_with_the_file_it_is_missing_in(included):
    with pytest.raises(
        ScriptError,
        match=r"functions\.py has no function 'simulat'; did you mean simulate\?$",
    ):
        find_functions(make(function_name="simulat"), included)


def test_a_store_function_that_is_missing_is_named_too():
    with pytest.raises(ScriptError, match=r"test_functions\.py has no function 'load'"):
        prepare(make(function_name="simulate", init_store_function_name="load"))


def test_a_name_of_something_else_is_refused_by_its_type():
    with pytest.raises(
        ScriptError, match="'NOT_CALLABLE' in .* is a int, not a function"
    ):
        prepare(make(function_name="NOT_CALLABLE"))


def test_in_a_notebook_the_place_is_the_modules_name():
    namespace = types.ModuleType("notebook").__dict__
    experiment = make(function_name="missing")
    experiment.namespace = namespace

    with pytest.raises(ScriptError, match="^notebook has no function 'missing'$"):
        find_functions(experiment)


def test_the_store_is_built_from_the_configuration_as_it_was_written():
    experiment = make(function_name="simulate", init_store=build)
    prepared = prepare(experiment)

    assert prepared.function is simulate
    assert {"n": IntegerVariable(1, 2)} == dict(prepared.store["given"])


def test_what_the_store_function_does_to_its_configuration_no_trial_sees():
    """It runs on every rank, and the trials are to be the same on all of them."""

    def build_and_change(configuration):
        configuration["n"] = 100
        return {}

    experiment = make(function_name="simulate", init_store=build_and_change)
    prepare(experiment)

    assert {"n": IntegerVariable(1, 2)} == experiment.configuration
    assert {"n": 1} == experiment[0].configuration


def test_without_a_store_function_there_is_no_store():
    assert prepare(make(function_name="simulate")).store is None


def test_a_store_that_cannot_be_built_is_an_error_here():
    with pytest.raises(StoreError, match="ZeroDivisionError"):
        prepare(make(function_name="simulate", init_store=lambda _: 1 / 0))


# --- the folder to work in


def test_a_run_works_in_its_folder_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with working_in("data"):
        inside = os.getcwd()

    assert (str(tmp_path / "data"), str(tmp_path)) == (inside, os.getcwd())


def test_a_run_that_fails_comes_back_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError), working_in(os.sep):
        raise ZeroDivisionError

    assert str(tmp_path) == os.getcwd()


def test_without_a_folder_a_run_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with working_in(None):
        assert str(tmp_path) == os.getcwd()


def test_a_folder_that_is_not_there_is_named():
    with (
        pytest.raises(
            ScriptError, match="^cannot change to directory /nowhere: No such"
        ),
        working_in("/nowhere"),
    ):
        pytest.fail("worked nowhere")
