"""Rows that nothing needs any more: surplus snapshots, and arrays of what is gone.

Each function returns the files of the arrays whose rows it deleted: pass them to
``files.remove_unused`` after the commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, delete, func, or_, select

from ..encoding.codec import INLINE_BYTES, OWNED
from ..experiment.experiment import TrialIds
from . import documents
from .file.rows import checked_value, checked_values
from .file.tables import (
    arrays,
    blocks,
    experiments,
    key_range,
    snapshots,
    trial_records,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Column, ColumnElement, Connection

_Value = TypeVar("_Value", str, int)
# As many values as any SQLite takes in one statement.
_AT_ONCE = 500
_BEYOND_THE_NEWEST = (
    select(snapshots.c.sequence)
    .where(snapshots.c.trial_id == bindparam("trial_id"))
    .order_by(snapshots.c.sequence.desc())
    .limit(-1)
    .offset(bindparam("keep"))
)


def forget_snapshots(
    connection: Connection,
    experiment_id: str,
    trial_id: str,
    *,
    keep: int = 0,
    spared: int | None = None,
) -> set[str]:
    """Delete a trial's snapshots but the newest ``keep`` and the number ``spared``."""
    query = {"trial_id": trial_id, "keep": keep}
    found = connection.execute(_BEYOND_THE_NEWEST, query).scalars()
    surplus = [sequence for sequence in found if sequence != spared]
    gone: set[str] = set()
    for some in in_groups(surplus):
        those = snapshots.c.sequence.in_(some)
        gone |= _mentioned(connection, snapshots.c.state, those)
        connection.execute(delete(snapshots).where(those))
    if gone:
        others = snapshots.c.trial_id == trial_id
        gone -= _mentioned(connection, snapshots.c.state, others)
    return forget_arrays(connection, experiment_id, gone)


def forget_arrays(
    connection: Connection, experiment_id: str, ids: Iterable[str]
) -> set[str]:
    """Delete those of a document's arrays that no other document can refer to.

    The id of a large array is its own, and that of a snapshot's array its trial's. Any
    other is named by its content, and what else refers to it only a look at everything
    tells: see ``forget_unused_arrays``.
    """
    private = or_(arrays.c.nbytes > INLINE_BYTES, arrays.c.id.startswith(OWNED))
    files: set[str] = set()
    for some in in_groups(sorted(ids)):
        files |= _delete_arrays(connection, experiment_id, some, private)
    return files


def forget_unused_arrays(connection: Connection, experiment_id: str) -> set[str]:
    """Delete an experiment's arrays that nothing refers to, by a look at everything."""
    query = select(arrays.c.id).where(arrays.c.experiment_id == experiment_id)
    ids = connection.execute(query).scalars().all()
    unused = set(checked_values(arrays.c.id, list(ids)))
    if not unused:
        return set()
    query = select(experiments.c.sequence).where(experiments.c.id == experiment_id)
    sequence = connection.execute(query).scalar_one()
    of_trials = trial_records.c.key.between(*key_range(sequence))
    id_of = TrialIds(UUID(experiment_id)).text
    of_snapshots = snapshots.c.trial_id.between(id_of(0), id_of((1 << 48) - 1))
    for column, mine in (
        (experiments.c.configuration, experiments.c.id == experiment_id),
        (blocks.c.document, blocks.c.experiment == sequence),
        (trial_records.c.configuration, of_trials),
        (trial_records.c.results, of_trials),
        (snapshots.c.state, of_snapshots),
    ):
        unused -= _mentioned(connection, column, mine)
    files: set[str] = set()
    for some in in_groups(sorted(unused)):
        files |= _delete_arrays(connection, experiment_id, some)
    return files


def has_arrays(connection: Connection, experiment_id: str, ids: Iterable[str]) -> bool:
    """Whether any of these arrays of an experiment is there."""
    mine = select(arrays.c.id).where(arrays.c.experiment_id == experiment_id).limit(1)
    return any(
        connection.execute(mine.where(arrays.c.id.in_(some))).first() is not None
        for some in in_groups(sorted(ids))
    )


def in_groups(values: list[_Value]) -> Iterator[list[_Value]]:
    """Yield the values in groups that fit into one statement."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _mentioned(
    connection: Connection, column: Column[str], which: ColumnElement[bool]
) -> set[str]:
    """Return the ids of the arrays that documents of this column refer to."""
    query = select(column).where(which, func.instr(column, '"$array"') > 0)
    found: set[str] = set()
    for document in connection.execute(query).scalars():
        found |= documents.references(checked_value(column, document))
    return found


def _delete_arrays(
    connection: Connection,
    experiment_id: str,
    ids: list[str] | list[int],
    *conditions: ColumnElement[bool],
) -> set[str]:
    mine = (arrays.c.experiment_id == experiment_id) & arrays.c.id.in_(ids)
    those = [mine, *conditions]
    in_files = select(arrays.c.file).where(*those, arrays.c.file.is_not(None))
    files = connection.execute(in_files).scalars().all()
    connection.execute(delete(arrays).where(*those))
    return {checked_value(arrays.c.file, file) for file in files}
