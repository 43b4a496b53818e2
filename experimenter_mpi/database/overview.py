"""What the command line shows: rows as they are stored, no value decoded.

Counting and listing read no results, so that a database of a million trials answers
at once, and nothing in a stranger's database is ever unpickled by looking at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from ..errors import ConfigurationError
from ..experiment.share import Share, as_share, is_share
from ..trial.outcome import Status
from .file.rows import all_checked, checked
from .file.tables import experiments, runs, snapshots
from .finished import aside, counts
from .lookup import experiment_row, id_range, named_row
from .lookup import trial_row as find_trial
from .notes import said_of
from .records import ASKED, TrialKeys, every, page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import Connection, Row

    from .file.storage import Storage

_LISTED = ("id", "status", "configuration", "results")
_FAILED = "AND status <> 2 AND status = 3"

_ATTEMPT = (
    *("attempts", "error_type", "error_message", "duration", "rank", "hostname"),
    *("run_id", "started_at", "finished_at"),
)

# A script's text may be long, and is for who asks for it.
_RUN = [column for column in runs.c if column.name not in ("script_text", "sources")]


class Overview:
    """What is shown of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def overview(self) -> list[dict[str, Any]]:
        """Describe every experiment, in order of creation."""
        query = select(experiments).order_by(experiments.c.sequence)
        with self._storage.reading() as connection:
            rows = all_checked(experiments, connection.execute(query).all())
            return [self._describe(connection, row) for row in rows]

    def overview_of(self, name: str) -> dict[str, Any]:
        """Describe one experiment: counts by status, and its last run.

        ``last_run`` is None if there was no run, and ``run_counts`` are of the trials
        it was for. ``is_locked`` says whether a run may be on now: somebody holds the
        writer's lock.
        """
        with self._storage.reading() as connection:
            row = named_row(self._storage, connection, name)
            return self._describe(connection, row)

    def failures(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Return index, error_type and error_message of failed trials, in order."""
        with self._storage.reading() as connection:
            experiment = named_row(self._storage, connection, name)
            keys = TrialKeys(self._storage, experiment)
            asked = "" if keys.is_plain else ASKED
            rows = page(
                connection, keys, 0, _FAILED + asked, limit=limit, results=False
            )
        return [
            {
                "index": row.trial_index,
                "error_type": row.error_type,
                "error_message": row.error_message,
            }
            for row in rows
        ]

    def trial(self, trial_id: UUID | str) -> dict[str, Any]:
        """Return all that is stored of one trial, and what there is besides it."""
        with self._storage.reading() as connection:
            row = find_trial(self._storage, connection, trial_id)._asdict()
            experiment_id, index = row["experiment_id"], row["trial_index"]
            experiment = experiment_row(self._storage, connection, experiment_id)
            keys = TrialKeys(self._storage, experiment)
            run = _last_run(connection, experiment_id)
            return {
                **row,
                "index": index,
                "experiment": experiment.name,
                "set_aside": not keys.is_plain and index not in keys.asked,
                **_snapshots_of(connection, row["id"]),
                **said_of(connection, row["id"]),
                "command_line": None if run is None else run["command_line"],
            }

    def trials(self, name: str, *, aside: bool = False) -> Iterator[dict[str, Any]]:
        """Return index, id, status, configuration, results (JSON texts), in order."""
        return self._listed(name, _LISTED, aside=aside)

    def attempted(self, name: str, *, aside: bool = False) -> Iterator[dict[str, Any]]:
        """Return what ``trials`` does, and how the last attempt at each ended."""
        return self._listed(name, (*_LISTED, *_ATTEMPT), aside=aside)

    def _listed(
        self, name: str, columns: tuple[str, ...], *, aside: bool
    ) -> Iterator[dict[str, Any]]:
        with self._storage.reading() as connection:
            keys = TrialKeys(self._storage, named_row(self._storage, connection, name))
        return (
            {"index": row.trial_index, **{each: getattr(row, each) for each in columns}}
            for row in every(self._storage, keys, aside=aside)
        )

    def _describe(self, connection: Connection, row: Row[Any]) -> dict[str, Any]:
        run = _last_run(connection, row.id)
        share = None if run is None else _share(run["share"])
        keys = TrialKeys(self._storage, row)
        found = counts(connection, keys)
        return {
            "id": row.id,
            "name": row.name,
            "trials": keys.asked_count,
            "counts": found,
            "set_aside": row.trial_count - keys.asked_count,
            "finished_aside": aside(connection, keys).get(Status.FINISHED, 0),
            "last_run": run,
            "run_counts": found if share is None else counts(connection, keys, share),
            "last_snapshot": _last_snapshot(connection, row.id),
            "is_locked": self._storage.is_locked(),
        }


def _last_run(connection: Connection, experiment_id: str) -> dict[str, Any] | None:
    query = (
        select(*_RUN)
        .where(runs.c.experiment_id == experiment_id)
        .order_by(runs.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _as_dict(checked(runs, row))


def _share(text: str | None) -> Share | None:
    """Read a run's share; a stranger's file may hold anything."""
    try:
        return as_share(text, {}) if text and is_share(text) else None
    except ConfigurationError:
        return None


def _last_snapshot(connection: Connection, experiment_id: str) -> int | None:
    """Return the sequence number of the experiment's latest snapshot: it only grows."""
    mine = snapshots.c.trial_id.between(*id_range(experiment_id))
    query = select(func.max(snapshots.c.sequence)).where(mine)
    found: int | None = connection.execute(query).scalar()
    return found


def _snapshots_of(connection: Connection, trial_id: str) -> dict[str, Any]:
    of_trial = snapshots.c.trial_id == trial_id
    query = select(func.count()).select_from(snapshots).where(of_trial)
    last = (
        select(snapshots.c.label, snapshots.c.created_at)
        .where(of_trial)
        .order_by(snapshots.c.sequence.desc())
        .limit(1)
    )
    row = connection.execute(last).first()
    label, created_at = (None, None) if row is None else checked(snapshots, row)
    return {
        "snapshots": connection.execute(query).scalar_one(),
        "last_label": label,
        "last_snapshot_at": created_at,
    }


def _as_dict(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
