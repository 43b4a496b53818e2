"""What tests of the database make: experiments, outcomes, other processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import experimenter_mpi
from experimenter_mpi import Experiment, IntegerVariable, RepeatVariable
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.database.lookup import trial_keys
from experimenter_mpi.encoding.codec import encode
from experimenter_mpi.trial.outcome import Entry, Failure, Outcome, Place, Status

if TYPE_CHECKING:
    from experimenter_mpi.database.handle import ExperimentDatabase

PLACE = Place(3, "node17")
HERE = Path(experimenter_mpi.__file__).parent.parent


def heat(name: str = "heat", **configuration: Any) -> Experiment:
    """An experiment of six trials, or of what is given."""
    chosen = configuration or {
        "n_steps": 10,
        "N": IntegerVariable(1, 3),
        "seed": RepeatVariable(7, 2),
    }
    return Experiment(name, configuration=chosen, function_name="run_heat")


def finished(index: int, values: Any = None, **changes: Any) -> Entry:
    """The outcome of a trial that went well; ``changes`` are of its fields."""
    encoded = encode({"distance": index / 2} if values is None else values)
    times = 1_700_000_000.25, 1_700_000_001.5
    outcome = Outcome(index, Status.FINISHED, encoded, None, *times, 1.25)
    return Entry(outcome._replace(**changes), PLACE)


def failed(index: int) -> Entry:
    """The outcome of a trial that raised."""
    failure = Failure("ValueError", "too hot", "Traceback ...\nValueError: too hot")
    return finished(index, status=Status.FAILED, results=None, failure=failure)


def finished_with(index: int, encoded: Any) -> Entry:
    """The outcome of a trial whose results are encoded already."""
    return finished(index, {})._replace(
        outcome=finished(index, {}).outcome._replace(results=encoded)
    )


def with_rows(database: ExperimentDatabase, experiment: Experiment) -> None:
    """Give every trial a row, which those have that something belongs to."""
    storage = session_of(database).storage
    with storage.transaction() as connection:
        keys = trial_keys(storage, connection, experiment.id)
        keys.insert(connection, range(keys.size))


def array_rows(database: ExperimentDatabase) -> list[tuple[Any, ...]]:
    """The rows of the table of arrays: id and file of each."""
    with session_of(database).storage.reading() as connection:
        query = "SELECT id, file FROM arrays ORDER BY id"
        return list(map(tuple, connection.exec_driver_sql(query)))


class Child:
    """Another process that runs some Python; talks by lines."""

    def __init__(self, code: str, *arguments: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
            **options,
        )

    def line(self) -> str:
        """Wait for what it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, text: str) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        """Wait for its end."""
        self.process.communicate(timeout=60)
        return self.process.returncode


# Takes the lock of the database argv[1], says so, and waits for a line.
HOLDER = """
import sys
from experimenter_mpi import open_db
from experimenter_mpi.database.handle import session_of
db = open_db(sys.argv[1], "")
with session_of(db).storage.writing():
    print("holding", flush=True)
    sys.stdin.readline()
"""
