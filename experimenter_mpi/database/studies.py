"""The trials of an experiment that was extended: blocks, and what is set aside.

An experiment that was never extended has one block, which is its own configuration,
and ``asked_count`` is NULL: nothing of this is read for it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, insert, select, update

from ..encoding import codec
from ..errors import (
    ConfigurationError,
    CorruptDocumentError,
    DatabaseError,
    ExperimentMismatchError,
)
from ..experiment import blocks as made
from ..experiment.blocks import Blocks, Grid, Study
from ..experiment.boxes import parts as parts_of
from ..experiment.grid import MOST_TRIALS
from ..experiment.ranges import Numbers
from . import documents
from .configurations import configurations, text_of
from .file.rows import all_checked
from .file.tables import blocks, experiments, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Row, Table

    from ..experiment.experiment import Experiment
    from ..experiment.extension import Extension
    from .file.storage import Storage


class Change(NamedTuple):
    """What asking for another configuration would change of a stored experiment."""

    study: Study
    extension: Extension
    assume: dict[str, Any]

    @property
    def new(self) -> int:
        return 0 if self.extension.new is None else self.extension.new.size

    @property
    def kept(self) -> int:
        return self.extension.kept.size

    @property
    def aside(self) -> int:
        """How many trials are asked for now, and would not be any more."""
        return (self.study.asked - self.extension.kept).size

    @property
    def after(self) -> Study:
        """The trials, once the change was made."""
        before, new = self.study.blocks, self.extension.new
        grown = before if new is None else before.followed_by(new)
        return Study(grown, self.extension.asked(before.size))

    def __str__(self) -> str:
        new = f"{self.new:,} new trial{'' if self.new == 1 else 's'}"
        return f"{new}, {self.kept:,} kept, {self.aside:,} set aside"

    def __bool__(self) -> bool:
        return self.extension.new is not None or (
            self.extension.kept != self.study.asked
        )


# --- reading


def asked(storage: Storage, row: Row[Any]) -> Numbers:
    """Return the numbers of the trials of an experiment that are asked for."""
    everything = Numbers([range(row.trial_count)])
    if row.asked_count is None:
        return everything
    found = everything - _aside(storage, row)
    if found.size != row.asked_count:
        said = f"{row.asked_count} trials are asked for, and {found.size} are left"
        raise _damaged(storage, row, said)
    return found


def _aside(storage: Storage, row: Row[Any]) -> Numbers:
    reached, pieces = 0, []
    for _, first, count in _rows(storage, set_aside, row):
        if first < reached or count < 1:
            raise _damaged(storage, row, f"trials from {first} are set aside twice")
        reached = first + count
        pieces.append(range(first, reached))
    return Numbers(pieces)


def study(storage: Storage, row: Row[Any], newest: Experiment | None = None) -> Study:
    """Return the trials of an experiment that was extended, all values decoded.

    What is written as the configuration of ``newest`` is not read, but taken from it.
    """
    found: list[made.Grid | made.Table] = []
    for each in described(storage, row):
        if newest is not None and each.document == row.configuration:
            value = newest.configuration
        else:
            what = f"block {len(found)} of experiment '{row.name}'"
            value = documents.decode(storage, row.id, each.document, what)
        try:
            parts = None if each.parts is None else json.loads(each.parts)
            found.append(made.from_plain(each.kind, value, parts, each.size))
        except (ValueError, ConfigurationError, RecursionError) as error:
            raise _damaged(storage, row, str(error)) from error
    return Study(Blocks(found), asked(storage, row))


class BlockTexts:
    """The configurations of all blocks as JSON text, by trial number; see there."""

    def __init__(self, storage: Storage, row: Row[Any]) -> None:
        self.size = 0
        self._firsts: list[int] = []
        self._texts: list[Callable[[int], str]] = []
        for block in described(storage, row):
            try:
                self._texts.append(_texts(block))
            except (ValueError, RecursionError) as error:
                raise _damaged(storage, row, str(error)) from error
            self._firsts.append(self.size)
            self.size += block.size

    def __getitem__(self, number: int) -> str:
        if number < 0:
            raise IndexError(number)
        place = bisect_right(self._firsts, number) - 1
        return self._texts[place](number - self._firsts[place])


def _texts(block: StoredBlock) -> Callable[[int], str]:
    """Return what gives the text of a block's k-th configuration."""
    if block.kind != made.GRID:
        plain = codec.plain(block.document)
        entries = plain.get("rows") if isinstance(plain, dict) else None
        if block.kind not in made.KINDS or not isinstance(entries, list):
            msg = f"a block of the kind '{block.kind:.20}' has no rows"
            raise ValueError(msg)
        _require_count(block, len(entries))
        return lambda k: codec.whole(text_of(entries[k]))
    texts = configurations(block.document)
    if block.parts is None:
        _require_count(block, texts.size)
        return texts.__getitem__
    parts = parts_of(texts.size, json.loads(block.parts))
    _require_count(block, parts.size)
    return lambda k: texts[parts.place(k)]


def _require_count(block: StoredBlock, size: int) -> None:
    if block.size != size:
        msg = f"a block makes {size} trials, and {block.size} are stored"
        raise ValueError(msg)


class StoredBlock(NamedTuple):
    """A block as it is stored; ``parts`` is None for all points of a grid."""

    first: int
    size: int
    kind: str
    document: str
    parts: str | None


def described(storage: Storage, row: Row[Any]) -> list[StoredBlock]:
    """Return the blocks of an experiment, which have each of its trials once."""
    found: list[StoredBlock] = []
    reached = 0
    for _, first, count, kind, text, parts in _rows(storage, blocks, row):
        if reached == row.trial_count:
            break  # what follows was added since the row was read
        if first != reached or count < 1:
            raise _damaged(storage, row, f"no block begins at trial {reached}")
        document = row.configuration if text is None else text
        found.append(StoredBlock(first, count, kind, document, parts))
        reached += count
    if reached != row.trial_count:
        said = f"its blocks make {reached} trials, and {row.trial_count} are stored"
        raise _damaged(storage, row, said)
    return found


def _rows(storage: Storage, table: Table, row: Row[Any]) -> Sequence[Any]:
    mine = select(table).where(table.c.experiment == row.sequence)
    with storage.reading() as connection:
        found = connection.execute(mine.order_by(table.c.first)).all()
    return all_checked(table, found)


def _damaged(storage: Storage, row: Row[Any], what: str) -> DatabaseError:
    """Return the error for tables that contradict the row of an experiment.

    They do without any damage where a run has extended it since the row was read.
    """
    columns = experiments.c.trial_count, experiments.c.asked_count
    now = select(*columns).where(experiments.c.sequence == row.sequence)
    with storage.reading() as connection:
        found = connection.execute(now).all()
    if [tuple(each) for each in found] != [(row.trial_count, row.asked_count)]:
        msg = (
            f"{storage.name}: experiment '{row.name}' was extended or deleted while it "
            "was read: rerun the same command"
        )
        return DatabaseError(msg)
    msg = (
        f"{storage.name}: the trials of experiment '{row.name}' are damaged or were "
        f"tampered with: {what}; use a copy from before, or run it under another name"
    )
    return CorruptDocumentError(msg)


# --- comparing and writing


def change(
    storage: Storage, row: Row[Any], stored: Experiment, given: Experiment
) -> Change:
    """Compare what is stored with what is asked for now.

    Raises:
        ExperimentMismatchError: what is derived has other values in trials there are.
    """
    from ..experiment.extension import derived_otherwise, extended

    study = stored.study or Study(
        Blocks([Grid(stored.expansion)]), Numbers([range(stored.size)])
    )
    assume = {**assumed(storage, row), **given.assume}
    what = study.blocks, given.expansion, assume
    found = extended(*what)
    if names := derived_otherwise(*what, found.kept):
        msg = (
            f"experiment '{given.name}' is stored in {storage.name} with other values "
            f"of {', '.join(names)}, which is derived in another way now: give it "
            "another name, or rerun with --overwrite (force_overwrite=True), which "
            "deletes what is stored"
        )
        raise ExperimentMismatchError(msg)
    change = Change(study, found, assume)
    if study.blocks.size + change.new > MOST_TRIALS:
        msg = (
            f"experiment '{given.name}' would have more than 10^12 trials, with those "
            "that are set aside: give it another name"
        )
        raise ConfigurationError(msg)
    return change


def assumed(storage: Storage, row: Row[Any]) -> dict[str, Any]:
    """Return what was assumed when the experiment was extended before."""
    if row.assume is None:
        return {}
    what = f"what is assumed for experiment '{row.name}'"
    found = documents.decode(storage, row.id, row.assume, what)
    if not isinstance(found, dict):
        raise _damaged(storage, row, f"{what} is {type(found).__name__}")
    return found


def extend(
    storage: Storage,
    connection: Connection,
    row: Row[Any],
    configuration: dict[str, Any],
    change: Change,
) -> None:
    """Store what a change makes of an experiment, in the caller's transaction."""
    whole = documents.encode_configuration(configuration)
    documents.warn_of_pickles(whole.pickled)
    assumed = documents.encode_configuration(change.assume)
    mine = experiments.c.sequence == row.sequence
    name_configurations(connection, row)
    if change.extension.new is not None:
        first, new = change.study.blocks.size, change.extension.new
        add_block(connection, row, first, new, whole.document)
    after = change.after
    values = {
        "configuration": whole.document,
        "trial_count": after.blocks.size,
        "asked_count": after.asked.size,
        "assume": assumed.document if change.assume else None,
    }
    connection.execute(update(experiments).where(mine).values(values))
    put_aside(connection, row.sequence, after.aside)
    records = {each.id: each for each in (*whole.arrays, *assumed.arrays)}
    kept = documents.settled_records(storage, records.values())
    documents.keep_arrays(connection, row.id, kept)


def name_configurations(connection: Connection, row: Row[Any]) -> None:
    """Let the first block say what it is, which was the experiment's configuration."""
    first = (blocks.c.experiment == row.sequence) & blocks.c.document.is_(None)
    connection.execute(update(blocks).where(first).values(document=row.configuration))


def add_block(
    connection: Connection,
    row: Row[Any],
    first: int,
    block: made.Grid | made.Table,
    document: str,
) -> None:
    """Store one block more, from trial ``first`` on."""
    parts = None
    if isinstance(block, Grid) and not block.parts.is_whole:
        parts = json.dumps(block.parts.plain())
    values = {
        "experiment": row.sequence,
        "first": first,
        "count": block.size,
        "kind": block.kind,
        "document": document,
        "parts": parts,
    }
    connection.execute(insert(blocks), values)


def put_aside(connection: Connection, sequence: int, numbers: Numbers) -> None:
    """Set these trials aside, and no others."""
    connection.execute(delete(set_aside).where(set_aside.c.experiment == sequence))
    values = [
        {"experiment": sequence, "first": piece.start, "count": len(piece)}
        for piece in numbers.pieces
    ]
    if values:
        connection.execute(insert(set_aside), values)
