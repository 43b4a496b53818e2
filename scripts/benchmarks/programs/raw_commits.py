"""Commit rows to SQLite one by one: `python raw_commits.py ROWS FOLDER`.

The limit that snapshots are measured against: a row as large as theirs, the journal
that this package uses on a local disk, and nothing else.
"""

from __future__ import annotations

import sqlite3
import sys
import time
import uuid
from pathlib import Path

from benchmarks.telling import tell

TABLE = """
CREATE TABLE snapshots (
    sequence INTEGER PRIMARY KEY, id TEXT UNIQUE, trial_id TEXT, label TEXT,
    state TEXT, created_at TEXT
)"""


def main() -> None:
    """Time the commits."""
    rows, folder = int(sys.argv[1]), sys.argv[2]
    database = sqlite3.connect(Path(folder, "raw.db"), isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(TABLE)
    database.execute("CREATE INDEX of_trial ON snapshots (trial_id, sequence)")
    trial = str(uuid.uuid4())
    start = time.perf_counter()
    for step in range(rows):
        row = (str(uuid.uuid4()), trial, f'{{"step":{step},"x":{1 / (1 + step)}}}')
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "INSERT INTO snapshots (id, trial_id, state, created_at) "
            "VALUES (?, ?, ?, '2026-01-01T00:00:00.000000Z')",
            row,
        )
        database.execute("COMMIT")
    took = time.perf_counter() - start
    tell(trials=rows, seconds=took)


if __name__ == "__main__":
    main()
