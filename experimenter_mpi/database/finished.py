"""How many trials of an experiment have finished, kept beside its rows.

To count them would read them all, and there may be a hundred million. Whoever
finishes trials, or takes results back, says so in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..trial.outcome import Status
from .file.rows import checked_status, checked_value
from .file.tables import FINISHED, STATUSES, key_range, trial_counts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ..experiment.share import Share
    from .records import TrialKeys

# Few enough to be counted whenever a run begins: somebody may have changed rows.
_FEW = 1_000_000
_ADD = (
    "INSERT INTO trial_counts (experiment, finished) VALUES (?, ?) "
    "ON CONFLICT (experiment) DO UPDATE SET finished = finished + excluded.finished"
)
_SET = (
    "INSERT INTO trial_counts (experiment, finished) "
    "SELECT ?, count(*) FROM trial_records WHERE key BETWEEN ? AND ? AND status = 2 "
    "ON CONFLICT (experiment) DO UPDATE SET finished = excluded.finished"
)
_GET = "SELECT finished FROM trial_counts WHERE experiment = ?"
_COUNT_UNFINISHED = (
    "SELECT count(*) FROM trial_records "
    "WHERE status <> 2 AND status = ? AND key BETWEEN ? AND ?"
)
_COUNT_SHARE = (
    "SELECT status, count(*) FROM trial_records WHERE key BETWEEN ? AND ? "
    "AND (key - ?) % ? = ? GROUP BY status"
)
_COUNT_ASIDE = (
    "SELECT status, count(*) FROM set_aside CROSS JOIN trial_records "
    "WHERE set_aside.experiment = ? "
    "AND key BETWEEN ? + set_aside.first AND ? + set_aside.first + set_aside.count - 1 "
    "AND (key - ?) % ? = ? GROUP BY status"
)


def add(connection: Connection, sequence: int, trials: int) -> None:
    """Say that so many more trials have finished, or so many fewer."""
    if trials:
        connection.exec_driver_sql(_ADD, (sequence, trials))


def recount(connection: Connection, sequence: int) -> None:
    """Count them, after changes of many kinds."""
    connection.exec_driver_sql(_SET, (sequence, *key_range(sequence)))


def recount_few(connection: Connection, sequence: int) -> None:
    """Count them if that is quick."""
    if _finished(connection, sequence) <= _FEW:
        recount(connection, sequence)


def counts(
    connection: Connection, keys: TrialKeys, share: Share | None = None
) -> dict[str, int]:
    """Return the number of trials of each status, in the share if there is one.

    Trials that are set aside do not count.

    Raises:
        CorruptDocumentError: the experiment has not as many trials as it says.
    """
    keys.require_size()
    if share is not None:
        return _of_share(connection, keys, share)
    found = {
        status: connection.exec_driver_sql(
            _COUNT_UNFINISHED, (code, keys.first, keys.last)
        ).scalar_one()
        for code, status in enumerate(STATUSES)
        if code != FINISHED
    }
    most = keys.size - sum(found.values())
    found[Status.FINISHED] = min(_finished(connection, keys.sequence), most)
    for status, count in aside(connection, keys).items():
        found[status] = max(0, found[status] - count)
    return _with_pending(found, keys.asked_count)


def aside(
    connection: Connection, keys: TrialKeys, share: Share | None = None
) -> dict[str, int]:
    """Return how many rows of each status there are of trials that are set aside."""
    if keys.is_plain:
        return {}
    part = (1, 0) if share is None else (share.total, share.number - 1)
    values = keys.sequence, keys.first, keys.first, keys.first, *part
    rows = connection.exec_driver_sql(_COUNT_ASIDE, values).all()
    return {checked_status(code): count for code, count in rows}


def _finished(connection: Connection, sequence: int) -> int:
    stored = connection.exec_driver_sql(_GET, (sequence,)).scalar_one_or_none()
    finished: int = checked_value(trial_counts.c.finished, stored or 0)
    return max(0, finished)


def _of_share(connection: Connection, keys: TrialKeys, share: Share) -> dict[str, int]:
    values = keys.first, keys.last, keys.first, share.total, share.number - 1
    rows = connection.exec_driver_sql(_COUNT_SHARE, values)
    by_code = dict(map(tuple, rows))
    without = aside(connection, keys, share)
    found = {
        word: by_code.get(code, 0) - without.get(word, 0)
        for code, word in enumerate(STATUSES)
    }
    trials = share.size(keys.size) if keys.is_plain else share.count(keys.asked.pieces)
    return _with_pending(found, trials)


def _with_pending(found: dict[str, int], trials: int) -> dict[str, int]:
    """Count what has no row as pending."""
    others = sum(found.values()) - found[Status.PENDING]
    return {**found, Status.PENDING: max(0, trials - others)}
