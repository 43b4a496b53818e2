"""From version 6 to 7: a trial has a row only once it matters, and a small one.

What is done here must never change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ...experiment.experiment import TrialIds
from .rows import BadRowError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES = (
    """
    CREATE TABLE blocks (
        experiment INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        kind TEXT NOT NULL,
        document TEXT,
        PRIMARY KEY (experiment, first)
    )
    """,
    """
    CREATE TABLE trial_counts (
        experiment INTEGER NOT NULL PRIMARY KEY,
        finished INTEGER DEFAULT 0 NOT NULL
    )
    """,
    """
    CREATE TABLE trial_places (
        id INTEGER NOT NULL PRIMARY KEY,
        rank INTEGER NOT NULL,
        hostname TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX places_by_name ON trial_places (rank, hostname)",
    """
    CREATE TABLE trial_records (
        "key" INTEGER NOT NULL PRIMARY KEY,
        status INTEGER DEFAULT 0 NOT NULL,
        attempts INTEGER DEFAULT 0 NOT NULL,
        deaths INTEGER DEFAULT 0 NOT NULL,
        started_at FLOAT,
        finished_at FLOAT,
        duration FLOAT,
        place INTEGER,
        run_id INTEGER,
        configuration TEXT NOT NULL,
        results TEXT
    )
    """,
    "CREATE INDEX records_unfinished ON trial_records (status) WHERE status <> 2",
    "CREATE INDEX records_suspected ON trial_records (deaths) WHERE deaths > 0",
    """
    CREATE TABLE trial_errors (
        "key" INTEGER NOT NULL PRIMARY KEY,
        error_type TEXT,
        error_message TEXT,
        error TEXT
    )
    """,
)
_COLUMNS = {
    *("id", "experiment_id", "trial_index", "configuration", "status", "results"),
    *("attempts", "error_type", "error_message", "error", "started_at", "finished_at"),
    *("duration", "rank", "hostname", "deaths", "run_id"),
}
# Trials of which nothing is known but their configuration, which is computed.
_UNTOUCHED = """
    trials.status = 'pending' AND trials.attempts = 0 AND trials.deaths = 0
    AND trials.results IS NULL AND trials.error_type IS NULL
    AND NOT EXISTS (SELECT 1 FROM snapshots WHERE snapshots.trial_id = trials.id)
"""
_KEY = "(experiments.sequence << 40 | trials.trial_index)"
_OF_TRIALS = f"""
    FROM trials JOIN experiments ON experiments.id = trials.experiment_id
    WHERE typeof(trials.trial_index) = 'integer'
    AND trials.trial_index BETWEEN 0 AND 1099511627775 AND NOT ({_UNTOUCHED})
"""


def _seconds(column: str) -> str:
    """Return SQL for the seconds since the epoch that a time of version 6 says."""
    micros = f"CAST(substr(substr({column}, 21, 6) || '000000', 1, 6) AS INTEGER)"
    return (
        f"(CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER) * 1000000 "
        f"+ {micros}) / 1000000.0"
    )


_COPIES = (
    """
    INSERT INTO blocks (experiment, first, count, kind)
    SELECT sequence, 0, trial_count, 'grid' FROM experiments
    """,
    """
    INSERT OR IGNORE INTO trial_places (rank, hostname)
    SELECT DISTINCT rank, hostname FROM trials
    WHERE typeof(rank) = 'integer' AND typeof(hostname) = 'text'
    """,
    f"""
    INSERT OR IGNORE INTO trial_records
    SELECT {_KEY},
        CASE trials.status WHEN 'pending' THEN 0 WHEN 'running' THEN 1
            WHEN 'finished' THEN 2 WHEN 'failed' THEN 3 ELSE trials.status END,
        trials.attempts, trials.deaths, {_seconds("trials.started_at")},
        {_seconds("trials.finished_at")}, trials.duration,
        (SELECT id FROM trial_places
         WHERE trial_places.rank = trials.rank
         AND trial_places.hostname = trials.hostname),
        trials.run_id, trials.configuration, trials.results
    {_OF_TRIALS}
    """,  # noqa: S608 - of our own constants
    f"""
    INSERT OR IGNORE INTO trial_errors
    SELECT {_KEY}, trials.error_type, trials.error_message, trials.error
    {_OF_TRIALS} AND trials.error_type IS NOT NULL
    """,
    """
    INSERT INTO trial_counts (experiment, finished)
    SELECT sequence, (
        SELECT count(*) FROM trial_records WHERE status = 2
        AND key BETWEEN sequence << 40 AND sequence << 40 | 1099511627775
    ) FROM experiments
    """,
)
# A foreign key leads to a table, which the trials of version 7 are not.
_NEW_SNAPSHOTS = """
    CREATE TABLE snapshots (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        trial_id TEXT NOT NULL,
        label TEXT,
        state TEXT NOT NULL,
        created_at TEXT NOT NULL,
        run_id INTEGER,
        UNIQUE (id)
    )
"""
_SNAPSHOTS = (
    # Views of the user's own that name the table may not hinder it.
    "PRAGMA legacy_alter_table = ON",
    "ALTER TABLE snapshots RENAME TO snapshots_of_version_6",
    "PRAGMA legacy_alter_table = OFF",
    _NEW_SNAPSHOTS,
    """
    INSERT INTO snapshots (sequence, id, trial_id, label, state, created_at, run_id)
    SELECT sequence, id, trial_id, label, state, created_at, run_id
    FROM snapshots_of_version_6 ORDER BY sequence
    """,
    # No number is used again, not even that of a snapshot that was deleted.
    "DELETE FROM sqlite_sequence WHERE name = 'snapshots'",
    """
    UPDATE sqlite_sequence SET name = 'snapshots'
    WHERE name = 'snapshots_of_version_6'
    """,
    "DROP TABLE snapshots_of_version_6",
    "CREATE INDEX ix_snapshots_trial_id ON snapshots (trial_id)",
)


def only_what_matters(connection: Connection) -> None:
    """Store the trials that matter in a smaller table, and forget the others."""
    _add_prefixes(connection)
    _keep_additions(connection)
    for statement in (*_TABLES, *_COPIES, *_SNAPSHOTS, "DROP TABLE trials"):
        connection.exec_driver_sql(statement)


def _add_prefixes(connection: Connection) -> None:
    add = "ALTER TABLE experiments ADD COLUMN trial_prefix TEXT DEFAULT '' NOT NULL"
    connection.exec_driver_sql(add)
    found = connection.exec_driver_sql("SELECT sequence, id FROM experiments").all()
    for sequence, experiment_id in found:
        change = "UPDATE experiments SET trial_prefix = ? WHERE sequence = ?"
        connection.exec_driver_sql(change, (_prefix(experiment_id), sequence))
    index = "CREATE UNIQUE INDEX experiments_by_prefix ON experiments (trial_prefix)"
    connection.exec_driver_sql(index)


def _keep_additions(connection: Connection) -> None:
    """Keep columns that people have added to the table, by trial id."""
    found = connection.exec_driver_sql("PRAGMA table_info(trials)").all()
    added = [row.name.replace('"', '""') for row in found if row.name not in _COLUMNS]
    if added:
        columns = ", ".join(f'"{name}"' for name in added)
        connection.exec_driver_sql(
            f"CREATE TABLE trial_additions AS SELECT id, {columns} FROM trials"  # noqa: S608
        )


def _prefix(experiment_id: Any) -> str:
    try:
        return TrialIds(UUID(experiment_id)).prefix
    except (ValueError, TypeError, AttributeError):
        what = f"{experiment_id!r:.60}, which is no id"
        msg = f"column id of table experiments holds {what}"
        raise BadRowError(msg) from None
