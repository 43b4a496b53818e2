"""What the tests of the database share: open ones that are closed, processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from experimenter_mpi import open_db
from experimenter_mpi.database.file import lock
from experimenter_mpi.database.handle import session_of
from unit.database.making import Child, heat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from experimenter_mpi import Experiment
    from experimenter_mpi.database.handle import ExperimentDatabase


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal comes at once."""
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)


@pytest.fixture
def open_here(tmp_path: Path) -> Iterator[Callable[..., ExperimentDatabase]]:
    """``open_db`` in the test's folder; closes what it opened."""
    opened = []

    def open_one(name: str = "heat.db", **options: Any) -> ExperimentDatabase:
        database = open_db(name, tmp_path, **options)
        opened.append(database)
        return database

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def db(open_here: Callable[..., ExperimentDatabase]) -> ExperimentDatabase:
    return open_here()


@pytest.fixture(params=["file", "memory"])
def any_db(
    request: pytest.FixtureRequest, open_here: Callable[..., ExperimentDatabase]
) -> ExperimentDatabase:
    """A database on disk, and one in memory: they behave alike."""
    return open_here(in_memory=request.param == "memory")


@pytest.fixture
def stored(db: ExperimentDatabase) -> Experiment:
    """An experiment of six trials in ``db``."""
    experiment = heat()
    session_of(db).experiments.enrol(experiment)
    return experiment


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start other processes; none outlives the test."""
    started: list[Child] = []

    def start(code: str, *arguments: str, **options: Any) -> Child:
        started.append(Child(code, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()
