"""What the launch tests share: an exp.py with a bit of everything, and its folder."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ("-m", "experimenter_mpi")

EVERYTHING = """
import numpy
from experimenter_mpi import (
    Experiment, IterableVariable, IntegerVariable, MatchIterableVariable,
    get_global_store, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
)

def build(configuration):
    return {"offset": configuration["offset"], "table": numpy.arange(4)}

def trial(configuration, trial_id):
    store = get_global_store()
    n, seed = configuration["n"], configuration["solver"]["seed"]
    if n == 3 and seed == 20:
        raise ValueError("three and twenty do not go together")
    if n == 2:
        save_snapshot_in_global_database(trial_id, {"n": n}, "half way")
        state = get_latest_snapshot_from_global_database(trial_id).state
        assert state == {"n": n}
    return {
        "sum": n + seed + store["offset"],
        "label": configuration["label"],
        "array": numpy.full((2, n), float(seed)),
        "pair": (n, {seed}),
        "large": numpy.arange(200_000.0) + seed if n == 1 and seed == 10 else None,
    }

experiment = Experiment(
    "everything", function=trial, init_store=build,
    configuration={
        "n": IntegerVariable(1, 4),
        "solver": {"seed": IterableVariable([10, 20]), "name": "euler"},
        "offset": 0.5,
        "label": MatchIterableVariable([f"trial {i}" for i in range(8)]),
    },
)
"""

# Everything of a row that does not depend on when and where it ran.
STABLE = "trial_index, configuration, status, attempts, error_type, error_message"


@dataclass(frozen=True)
class Folder:
    """A folder with an exp.py, and its database once there is one."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "experiments" / "experiments.db"

    def write(self, source: str, name: str = "exp.py") -> str:
        (self.path / name).write_text(source)
        return name

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database with nothing but sqlite3, as a colleague would."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def statuses(self) -> dict[str, int]:
        """Count the trials by status; those without a row are pending."""
        counts = dict(self.query("SELECT status, count(*) FROM trials GROUP BY status"))
        [(trials,)] = self.query("SELECT sum(trial_count) FROM experiments")
        without = (trials or 0) - sum(counts.values())
        if without:
            counts["pending"] = counts.get("pending", 0) + without
        return counts
