"""A worker rank: it runs the same script, holds no database, and stays light."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import experimenter_mpi as em
from experimenter_mpi import NotCoordinatorError, open_db
from experimenter_mpi.database import handle as module
from experimenter_mpi.database.handle import ExperimentDatabase
from experimenter_mpi.mpi import launch
from unit.database.making import HERE, heat

HEAVY = "{'sqlalchemy', 'sqlite3', 'h5py', 'numpy', 'rich', 'dataclasses', 'uuid'}"


def public(thing):
    return {name for name in vars(thing) if not name.startswith("_")}


QUERIES = sorted(public(ExperimentDatabase) - {"close", "is_coordinator"})


@pytest.fixture
def worker(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "world_rank", lambda: 5)
    return open_db("heat.db", tmp_path / "new")


def test_a_worker_opens_nothing(worker, tmp_path, monkeypatch):
    assert list(tmp_path.iterdir()) == []
    assert not worker.is_coordinator
    assert "held by rank 0, not by this rank" in repr(worker)
    with worker:
        pass
    worker.close()


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_of_a_worker_says_that_only_rank_0_can_answer(worker, name):
    with pytest.raises(NotCoordinatorError, match="only rank 0 holds the database"):
        ask(worker, name)


def test_a_worker_has_no_session(worker):
    with pytest.raises(NotCoordinatorError, match="only rank 0 holds the database"):
        module.session_of(worker)


def ask(database, name):
    member = inspect.getattr_static(database, name)
    if isinstance(member, property):
        return getattr(database, name)
    wanted = list(inspect.signature(getattr(database, name)).parameters.values())
    values = {"experiment": heat(), "results": {}, "state": {}}
    arguments = [
        values.get(parameter.name, database)
        for parameter in wanted
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return getattr(database, name)(*arguments)


def test_every_public_function_is_the_method_of_its_name():
    functions = {
        name
        for name, home in em._HOMES.items()
        if home == "database.handle" and name not in {"open_db", "ExperimentDatabase"}
    }

    assert len(functions) == 25
    assert {"close", "is_coordinator", "path"} == public(ExperimentDatabase) - functions
    for name in functions:
        assert getattr(module, name) is getattr(ExperimentDatabase, name)


@pytest.mark.parametrize(
    "imported",
    ["experimenter_mpi.database.handle", "experimenter_mpi.encoding.array_files"],
)
def test_what_workers_import_brings_nothing_heavy(imported):
    heavy = HEAVY.replace(", 'dataclasses', 'uuid'", "")
    code = f"import {imported}, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
