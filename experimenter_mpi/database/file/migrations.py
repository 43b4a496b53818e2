"""The schema's version: whose database a file is, and the steps up to today's.

A file is ours by ``PRAGMA application_id``; its version is ``PRAGMA user_version``.
"""

from __future__ import annotations

import shlex
import uuid
from typing import TYPE_CHECKING

from ...errors import ForeignDatabaseError, SchemaVersionError
from ...program import program
from . import version_1, version_5, version_7, version_8, views

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

APPLICATION_ID = 0x4578704D  # "ExpM"


def _create_tables(connection: Connection) -> None:
    """From nothing to version 1."""
    for statement in version_1.STATEMENTS:
        connection.exec_driver_sql(statement)


def _count_deaths(connection: Connection) -> None:
    """To version 2: how often a rank died of a trial, and why a run was to stop."""
    for statement in (
        "ALTER TABLE trials ADD COLUMN deaths INTEGER DEFAULT 0 NOT NULL",
        "ALTER TABLE runs ADD COLUMN stop_reason TEXT",
        """
        CREATE INDEX trials_suspected ON trials (experiment_id, trial_index)
        WHERE deaths > 0
        """,
    ):
        connection.exec_driver_sql(statement)


def _name_shares(connection: Connection) -> None:
    """To version 3: which share of an experiment a run was for."""
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN share TEXT")


def _name_runs(connection: Connection) -> None:
    """To version 4: which run made what is stored, and of which text of the script."""
    for statement in (
        "ALTER TABLE trials ADD COLUMN run_id INTEGER",
        "ALTER TABLE snapshots ADD COLUMN run_id INTEGER",
        "ALTER TABLE runs ADD COLUMN script TEXT",
        "ALTER TABLE runs ADD COLUMN script_hash TEXT",
        "ALTER TABLE runs ADD COLUMN script_text TEXT",
        "ALTER TABLE runs ADD COLUMN sources TEXT",
    ):
        connection.exec_driver_sql(statement)


def _name_databases(connection: Connection) -> None:
    """To version 6: an id of the file, the seed, and more of what made the results."""
    for statement in (
        "ALTER TABLE experiments ADD COLUMN seed TEXT",
        "ALTER TABLE runs ADD COLUMN packages TEXT",
        "ALTER TABLE runs ADD COLUMN git_diff TEXT",
        """
        CREATE TABLE database_properties (
            "key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key")
        )
        """,
    ):
        connection.exec_driver_sql(statement)
    new = "INSERT INTO database_properties VALUES ('id', ?)"
    connection.exec_driver_sql(new, (str(uuid.uuid4()),))


def _add_notes(connection: Connection) -> None:
    """To version 9: what people say of trials."""
    for statement in (
        """
        CREATE TABLE trial_notes (
            sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            trial_id TEXT NOT NULL,
            text TEXT NOT NULL,
            created_at TEXT NOT NULL
        )
        """,
        "CREATE INDEX ix_trial_notes_trial_id ON trial_notes (trial_id)",
        """
        CREATE TABLE trial_tags (
            trial_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (trial_id, tag)
        )
        """,
    ):
        connection.exec_driver_sql(statement)


# STEPS[n] leads from version n to n + 1. A step must never change.
STEPS: list[Callable[[Connection], None]] = [
    _create_tables,
    _count_deaths,
    _name_shares,
    _name_runs,
    version_5.rewrite,
    _name_databases,
    version_7.only_what_matters,
    version_8.let_experiments_grow,
    _add_notes,
]


def identify(connection: Connection, path: str) -> int:
    """Return the schema version of a database of ours, 0 for an empty file.

    Only reads.

    Raises:
        ForeignDatabaseError: another program's database.
        SchemaVersionError: written by a newer version of this package.
    """
    application, version = (
        _pragma(connection, "application_id"),
        _pragma(connection, "user_version"),
    )
    if application == APPLICATION_ID:
        if version > len(STEPS):
            msg = (
                f"{path} has schema version {version}, but this version of "
                f"experimenter_mpi reads at most {len(STEPS)}: upgrade with 'pip "
                "install -U experimenter-mpi'"
            )
            raise SchemaVersionError(msg)
        return version
    if application or version or _has_tables(connection):
        raise foreign(path)
    return 0


def foreign(path: str) -> ForeignDatabaseError:
    """Return the error for a database that is not ours."""
    msg = (
        f"{path} is the database of another program and was not changed: choose "
        "another file name with --db (or open_db)"
    )
    return ForeignDatabaseError(msg)


def require_current(version: int, path: str) -> None:
    """Refuse what cannot be read without upgrading it first."""
    if version == 0:
        msg = f"{path} is an empty file, not yet a database: run an experiment first"
        raise ForeignDatabaseError(msg)
    if version < len(STEPS):
        msg = (
            f"{path} has schema version {version}, but {len(STEPS)} is needed: "
            f"upgrade it with '{program()} compact {shlex.quote(path)}'; if you "
            "cannot write to it, upgrade a copy"
        )
        raise SchemaVersionError(msg)


def upgrade(connection: Connection, version: int) -> None:
    """Do the steps that are missing, inside the caller's transaction."""
    for step in STEPS[version:]:
        step(connection)
    connection.exec_driver_sql("DROP VIEW IF EXISTS trials")
    connection.exec_driver_sql(views.TRIALS)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {len(STEPS)}")


def _pragma(connection: Connection, name: str) -> int:
    value: int = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
    return value


def _has_tables(connection: Connection) -> bool:
    query = "SELECT count(*) FROM sqlite_master"
    return bool(connection.exec_driver_sql(query).scalar_one())
