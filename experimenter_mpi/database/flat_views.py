"""A view for each experiment with a column per parameter and result, for SQL users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..encoding import codec
from ..encoding.rules import NAN_KEY
from ..errors import CorruptDocumentError, DatabaseError
from .file import views
from .file.tables import key_range
from .lookup import trial_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import Connection

    from .file.storage import Storage

# Trials are looked at for the keys of their results: so many from either end, and no
# large ones.
_LOOKED_AT = 2_000
_LARGE = 100_000
# Deeper entries are shown as JSON.
_DEEPEST = 20
_RESULTS = (
    "SELECT results FROM (SELECT status, results FROM trial_records "
    "WHERE key BETWEEN ? AND ? ORDER BY key {} LIMIT {}) "
    "WHERE status = 2 AND length(results) < {}"
)


class FlatViews:
    """The experiments' views of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def renew(self, experiment_id: UUID | str) -> None:
        """Make an experiment's view of what is stored now, unless it is the same.

        It is a convenience: where it cannot be made, that is said and no error.
        """
        try:
            self._renew(experiment_id)
        except DatabaseError as error:
            self._storage.note(f"the experiment's view was not made: {error}")

    def _renew(self, experiment_id: UUID | str) -> None:
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            name, columns = _columns(connection, keys.sequence)
            before, text = _planned(connection, keys.sequence, name, columns)
        if before is None or before[1] != text:
            with self._storage.transaction() as connection:
                _replace(connection, keys.sequence, name, columns)


def renew_within(connection: Connection, sequence: int) -> None:
    """Do it as a part of a transaction."""
    _replace(connection, sequence, *_columns(connection, sequence))


def _replace(
    connection: Connection, sequence: int, name: str, columns: list[views.Column]
) -> None:
    before, text = _planned(connection, sequence, name, columns)
    if before is not None:
        connection.exec_driver_sql(f"DROP VIEW {views.quoted(before[0])}")
    connection.exec_driver_sql(text)


def forget_view(connection: Connection, sequence: int) -> None:
    """Remove the view of an experiment that is deleted."""
    ours, _ = views.existing(connection)
    if sequence in ours:
        connection.exec_driver_sql(f"DROP VIEW {views.quoted(ours[sequence][0])}")


def _planned(
    connection: Connection, sequence: int, name: str, columns: list[views.Column]
) -> tuple[tuple[str, str] | None, str]:
    """Return the view that there is, as name and text, and the text it should have."""
    ours, others = views.existing(connection)
    taken = [*others, *(each for key, (each, _) in ours.items() if key != sequence)]
    free = views.free_name(name, taken)
    return ours.get(sequence), views.text_of(free, sequence, columns)


def _columns(connection: Connection, sequence: int) -> tuple[str, list[views.Column]]:
    """Return the experiment's name, and the columns of its view."""
    query = "SELECT name, configuration FROM experiments WHERE sequence = ?"
    name, configuration = connection.exec_driver_sql(query, (sequence,)).one()
    found = dict.fromkeys(
        views.Column("configuration", path) for path in _paths(configuration)
    )
    for order in ("", "DESC"):
        query = _RESULTS.format(order, _LOOKED_AT, _LARGE)
        rows = connection.exec_driver_sql(query, key_range(sequence)).scalars()
        for text in rows:
            for path in _paths(text):
                found.setdefault(views.Column("results", path))
    return name, list(found)


def _paths(document: str) -> Iterator[tuple[str, ...]]:
    """Yield the keys that lead to each entry; none of what cannot be read."""
    try:
        plain = codec.parsed(document)
    except CorruptDocumentError:
        return
    if isinstance(plain, dict) and not _is_tagged(plain):
        yield from _entries(plain, ())


def _entries(
    plain: dict[str, Any], above: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for key, entry in plain.items():
        path = (*above, key)
        if key == NAN_KEY and not above:
            continue
        nested = isinstance(entry, dict) and entry and len(path) <= _DEEPEST
        if nested and not _is_tagged(entry):
            yield from _entries(entry, path)
        else:
            yield path


def _is_tagged(plain: dict[str, Any]) -> bool:
    first = next(iter(plain), "")
    return first[:1] == "$" and first[1:2] != "$"
