"""The examples as modules, and their experiments at the size of a test."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from experimenter_mpi import (
    Experiment,
    ExperimentDatabase,
    IterableVariable,
    SerialMode,
    execute,
    get_trials_by_name,
    open_db,
)

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def examples():
    """Say where the examples are."""
    return EXAMPLES


@pytest.fixture(autouse=True)
def closed(monkeypatch):
    """Close what a test opens: Python 3.13 warns of databases that are left open."""
    opened = []
    init = ExperimentDatabase.__init__

    def noting(self, session):
        init(self, session)
        opened.append(self)

    monkeypatch.setattr(ExperimentDatabase, "__init__", noting)
    yield
    for database in opened:
        database.close()


@pytest.fixture(scope="session")
def load():
    """Load a script of the examples, such as `ising/exp.py`, as a module of its own."""

    def load(path):
        name = f"example_{Path(path).with_suffix('').as_posix().replace('/', '_')}"
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def resized():
    """Copy an experiment, its configuration changed as the keywords say."""

    def resized(experiment, **changes):
        return Experiment(
            name=experiment.name,
            function=experiment.function,
            init_store=experiment.init_store,
            configuration={**experiment.configuration, **changes},
        )

    return resized


@pytest.fixture(scope="session")
def ising(load):
    return load("ising/exp.py")


@pytest.fixture(scope="session")
def report(load):
    return load("ising/report.py")


@pytest.fixture
def tiny_ising(ising, resized):
    """Two trials of milliseconds."""
    return resized(
        ising.experiment,
        temperature=2.1,
        seed=IterableVariable(range(2)),
        L=16,
        blocks=10,
        sweeps_per_block=10,
        snapshot_every=3,
    )


@pytest.fixture(scope="session")
def cold_sweep(ising, resized, tmp_path_factory):
    """Run the Ising model below the critical temperature, once for all tests."""
    cold = resized(
        ising.experiment,
        temperature=IterableVariable([1.5, 1.7, 1.8, 1.9, 2.0]),
        L=32,
        sweeps_per_block=100,
    )
    folder = tmp_path_factory.mktemp("cold")
    execute(cold, open_db("ising.db", folder), SerialMode(), on_error="raise")
    return folder / "ising.db"


@pytest.fixture(scope="session")
def points(report, cold_sweep):
    return report.read_points(str(cold_sweep))


@pytest.fixture(scope="session")
def ising_bits():
    """Return all results of a database with arrays as bytes: == compares every bit."""

    def ising_bits(db):
        return [
            {
                key: value.tobytes() if isinstance(value, np.ndarray) else value
                for key, value in trial.results.items()
            }
            for trial in get_trials_by_name(db, "ising")
        ]

    return ising_bits
