"""Notes and tags: what people say of trials, kept whatever becomes of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select

from ..errors import ConfigurationError
from .documents import storable
from .file import timestamps
from .file.rows import all_checked, checked_values
from .file.tables import trial_notes as notes
from .file.tables import trial_tags as tags
from .garbage import in_groups
from .lookup import id_range, keys_of_trial, named_row
from .records import TrialKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from sqlalchemy import Connection, Row

    from .file.storage import Storage

_ADD_NOTE = "INSERT INTO trial_notes (trial_id, text, created_at) VALUES (?, ?, ?)"
_ADD_TAG = "INSERT OR IGNORE INTO trial_tags (trial_id, tag) VALUES (?, ?)"


class Note(NamedTuple):
    """What somebody said of a trial, and when: an ISO 8601 time in UTC."""

    text: str
    created_at: str


class Notes:
    """The notes and tags of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, trial_id: UUID | str, text: Any) -> None:
        """Add a note to a trial.

        Raises:
            ConfigurationError: the text is empty.
        """
        if not isinstance(text, str) or not text.strip():
            msg = f"a note must be a text that is not empty, not {text!r}"
            raise ConfigurationError(msg)
        with self._storage.transaction() as connection:
            keys, number = keys_of_trial(self._storage, connection, trial_id)
            values = keys.ids.text(number), storable(text), timestamps.now()
            connection.exec_driver_sql(_ADD_NOTE, values)

    def of(self, trial_id: UUID | str) -> list[Note]:
        """Return the notes of a trial, oldest first."""
        return [Note(**each) for each in self._said_of(trial_id)["notes"]]

    def tags_of(self, trial_id: UUID | str) -> list[str]:
        """Return the tags of a trial, sorted."""
        found: list[str] = self._said_of(trial_id)["tags"]
        return found

    def _said_of(self, trial_id: UUID | str) -> dict[str, Any]:
        with self._storage.reading() as connection:
            keys, number = keys_of_trial(self._storage, connection, trial_id)
            return said_of(connection, keys.ids.text(number))

    def change_tags(
        self,
        trial_ids: Iterable[UUID | str],
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
    ) -> None:
        """Add tags to trials, and take others from them; all or nothing.

        Raises:
            ConfigurationError: what is added is no tag: see ``checked_tag``.
        """
        added = [checked_tag(tag) for tag in add]
        with self._storage.transaction() as connection:
            texts = []
            for each in trial_ids:
                keys, number = keys_of_trial(self._storage, connection, each)
                texts.append(keys.ids.text(number))
            pairs = [(text, tag) for text in texts for tag in added]
            if pairs:
                connection.exec_driver_sql(_ADD_TAG, pairs)
            for some in in_groups(texts):
                those = tags.c.trial_id.in_(some), tags.c.tag.in_(list(remove))
                connection.execute(delete(tags).where(*those))

    def tagged(self, name: str, tag: str) -> list[int]:
        """Return which trials of an experiment have a tag, in order."""
        with self._storage.reading() as connection:
            keys = TrialKeys(self._storage, named_row(self._storage, connection, name))
            within = tags.c.trial_id.between(*id_range(keys.experiment_id))
            query = select(tags.c.trial_id).where(within, tags.c.tag == tag)
            found = list(connection.execute(query).scalars())
        return sorted(map(keys.ids.index, checked_values(tags.c.trial_id, found)))


def said_of(connection: Connection, trial_id: str) -> dict[str, Any]:
    """Return the notes of a trial, oldest first, and its tags, sorted."""
    query = select(notes).where(notes.c.trial_id == trial_id)
    rows = all_checked(notes, connection.execute(query.order_by(notes.c.sequence)))
    query = select(tags.c.tag).where(tags.c.trial_id == trial_id)
    found = list(connection.execute(query).scalars())
    return {
        "notes": [{"text": row.text, "created_at": row.created_at} for row in rows],
        "tags": sorted(checked_values(tags.c.tag, found)),
    }


def copy(
    source: Storage,
    connection: Connection,
    theirs: TrialKeys,
    ours: TrialKeys,
    number: Callable[[int], int],
) -> None:
    """Add the notes and tags of an experiment to those that a target has.

    ``number`` says which trial of the target is which of the source.
    """

    def moved(row: Row[Any]) -> str:
        """Return the id of a row's trial in the target."""
        there = theirs.ids.index(row.trial_id)
        theirs.key(there)  # which looks whether there is one
        return ours.ids.text(number(there))

    within = id_range(theirs.experiment_id)
    with source.reading() as reading:
        query = select(notes).where(notes.c.trial_id.between(*within))
        found = all_checked(notes, reading.execute(query.order_by(notes.c.sequence)))
        query = select(tags).where(tags.c.trial_id.between(*within))
        tagged = all_checked(tags, reading.execute(query))
    here = notes.c.trial_id.between(*id_range(ours.experiment_id))
    columns = notes.c.trial_id, notes.c.text, notes.c.created_at
    known = set(map(tuple, connection.execute(select(*columns).where(here))))
    said = [(moved(row), row.text, row.created_at) for row in found]
    new = [each for each in said if each not in known]
    if new:
        connection.exec_driver_sql(_ADD_NOTE, new)
    pairs = [(moved(row), row.tag) for row in tagged]
    if pairs:
        connection.exec_driver_sql(_ADD_TAG, pairs)


def forget(connection: Connection, experiment_id: str) -> None:
    """Delete all notes and tags of an experiment."""
    for table in (notes, tags):
        mine = table.c.trial_id.between(*id_range(experiment_id))
        connection.execute(delete(table).where(mine))


def checked_tag(tag: Any) -> str:
    """Return the tag if it is a text of one line, without a comma or space at its ends.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(tag, str) and _is_tag(tag):
        return tag
    msg = f"a tag must be a short text in one line and without commas, not {tag!r}"
    raise ConfigurationError(msg)


def _is_tag(text: str) -> bool:
    is_line = text.strip() == text and text.isprintable()
    return bool(text) and is_line and "," not in text
