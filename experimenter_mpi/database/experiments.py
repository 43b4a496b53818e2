"""The experiments table: look up, store whole, compare, delete."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select

from ..encoding.codec import whole
from ..errors import (
    ConfigurationError,
    CorruptDocumentError,
    DatabaseError,
    ExperimentMismatchError,
)
from ..experiment.experiment import Experiment
from ..experiment.grid import longest_range
from . import comparison, documents
from .file import timestamps
from .file.rows import all_checked
from .file.tables import experiments, trials
from .files import remove_unused, used_files
from .lookup import experiment_row, find_named, id_range, named_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Row

    from ..encoding.codec import ArrayRecord
    from .file.storage import Storage

# Through the driver's executemany, since Core's wants a dictionary of each row to make
# a tuple of it again: 240,000 rows against 145,000 per second of processor time.
_INSERT_TRIALS = (
    "INSERT INTO trials (id, experiment_id, trial_index, configuration) "
    "VALUES (?, ?, ?, ?)"
)
_ROWS_AT_ONCE = 10_000
# As many values as a variable is let make without counting the trials.
_BELIEVED = 100_000


class Experiments:
    """The experiments of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, experiment_id: UUID | str) -> Experiment:
        with self._storage.reading() as connection:
            row = experiment_row(self._storage, connection, experiment_id)
        return self._experiment(row)

    def get_named(self, name: str) -> Experiment:
        with self._storage.reading() as connection:
            row = named_row(self._storage, connection, name)
        return self._experiment(row)

    def get_all(self) -> list[Experiment]:
        query = select(experiments).order_by(experiments.c.sequence)
        with self._storage.reading() as connection:
            rows = all_checked(experiments, connection.execute(query).all())
        return [self._experiment(row) for row in rows]

    def restore(self, experiment: Experiment) -> Experiment:
        """Give the experiment the id and seed it is stored with, if it is."""
        with self._storage.reading() as connection:
            row = find_named(connection, experiment.name)
        if row is not None:
            self._require_same(row, experiment)
            experiment.become(UUID(row.id), comparison.seed_of(row))
        return experiment

    def enrol(
        self,
        experiment: Experiment,
        *,
        force_overwrite: bool = False,
        id_by_content: bool = False,
    ) -> None:
        """Store a new experiment with all its trials, or restore it; all or nothing.

        ``force_overwrite`` deletes a stored one of this name first; ``id_by_content``
        gives a new one, unless it was given one, the same id in whatever database.
        """
        unused: set[str] = set()
        with self._storage.transaction() as connection:
            row = find_named(connection, experiment.name)
            if row is not None and not force_overwrite:
                self._require_same(row, experiment)
                experiment.become(UUID(row.id), comparison.seed_of(row))
                return
            if row is not None:
                unused = used_files(connection, row.id)
                _delete(connection, row.id)
            if id_by_content and not experiment.has_given_id:
                experiment.id = _id_by_content(experiment)
            self._store(connection, experiment)
        remove_unused(self._storage, unused)

    def delete(self, experiment_id: UUID | str) -> None:
        """Remove an experiment with all that belongs to it, then its files."""
        with self._storage.transaction() as connection:
            row = experiment_row(self._storage, connection, experiment_id)
            unused = used_files(connection, row.id)
            _delete(connection, row.id)
        remove_unused(self._storage, unused)

    def _store(self, connection: Connection, experiment: Experiment) -> None:
        self._require_free_id(connection, experiment)
        whole = documents.encode_configuration(experiment.configuration)
        documents.warn_of_pickles(whole.pickled)
        connection.execute(
            insert(experiments),
            {
                "id": str(experiment.id),
                "name": experiment.name,
                "function_name": experiment.function_name,
                "init_store_function_name": experiment.init_store_function_name,
                "include_file": experiment.include_file,
                "configuration": whole.document,
                "trial_count": len(experiment),
                "created_at": timestamps.now(),
                "seed": str(experiment.seed),
            },
        )
        found = {record.id: record for record in whole.arrays}
        for rows in _in_chunks(_trial_rows(experiment, _collecting(found))):
            connection.exec_driver_sql(_INSERT_TRIALS, rows)
        kept = documents.settled_records(self._storage, found.values())
        documents.keep_arrays(connection, str(experiment.id), kept)

    def _require_free_id(self, connection: Connection, experiment: Experiment) -> None:
        query = select(experiments.c.name).where(experiments.c.id == str(experiment.id))
        name = connection.execute(query).scalar_one_or_none()
        if name is not None:
            msg = (
                f"the id {experiment.id} belongs to experiment '{name}' in "
                f"{self._storage.name}: give '{experiment.name}' another id, or none"
            )
            raise DatabaseError(msg)

    def _require_same(self, row: Row[Any], experiment: Experiment) -> None:
        if comparison.is_written_alike(row, experiment):
            return
        lines = comparison.differences(self._experiment(row), experiment)
        if lines:
            msg = (
                f"experiment '{experiment.name}' is stored in {self._storage.name} "
                f"with another configuration: {comparison.summary(lines)}. Rename it, "
                "or rerun with --overwrite (force_overwrite=True), which deletes what "
                "is stored."
            )
            raise ExperimentMismatchError(msg)

    def _experiment(self, row: Row[Any]) -> Experiment:
        what = f"configuration of experiment '{row.name}'"
        value = documents.decode(self._storage, row.id, row.configuration, what)
        seed = comparison.seed_of(row)
        try:
            self._require_bounded(row, value)
            experiment = Experiment(
                row.name,
                configuration=value,
                function_name=row.function_name,
                include_file=row.include_file,
                init_store_function_name=row.init_store_function_name,
                id=row.id,
                seed=None if seed == UUID(row.id).int else seed,
            )
        except ConfigurationError as error:
            raise self._not_ours(row, str(error)) from error
        except RecursionError:
            raise self._not_ours(row, "it is nested too deeply") from None
        if experiment.expansion.size != row.trial_count:
            made = f"makes {experiment.expansion.size} trials"
            raise self._not_ours(row, f"it {made}, but {row.trial_count} are stored")
        # Its functions are names; what runs it next is the script they mean.
        main = sys.modules.get("__main__")
        experiment.namespace = {} if main is None else vars(main)
        return experiment

    def _require_bounded(self, row: Row[Any], configuration: Any) -> None:
        """Refuse a few bytes that say how to fill the memory with a variable's values.

        A variable has at most as many values as there are trials, and those are rows.
        """
        longest = longest_range(configuration)
        if longest <= _BELIEVED:
            return
        query = select(func.count()).where(trials.c.id.between(*id_range(row.id)))
        with self._storage.reading() as connection:
            stored = connection.execute(query).scalar_one()
        if longest > stored:
            said = f"a variable has {longest} values, but {stored} trials are stored"
            raise self._not_ours(row, said)

    def _not_ours(self, row: Row[Any], what: str) -> CorruptDocumentError:
        msg = (
            f"{self._storage.name}: configuration of experiment '{row.name}' is "
            f"damaged or was tampered with: {what}; delete the experiment, or rerun "
            "it with --overwrite"
        )
        return CorruptDocumentError(msg)


def _id_by_content(experiment: Experiment) -> UUID:
    """Return the id of any experiment with this name, function, seed and trials.

    Databases that several runs make of it then agree on the ids of its trials, which
    trials may have named files by. A UUID of version 8 (RFC 9562).
    """
    names = experiment.name, experiment.function_name
    store = experiment.init_store_function_name
    document = documents.encode_configuration(experiment.configuration).document
    seed = [] if experiment.given_seed is None else [experiment.given_seed]
    text = json.dumps([*names, store, document, *seed])
    digest = bytearray(hashlib.blake2b(text.encode(), digest_size=16).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def _delete(connection: Connection, experiment_id: str) -> None:
    # Said explicitly: the cascade would read the whole table to find the trials.
    first, last = id_range(experiment_id)
    connection.execute(delete(trials).where(trials.c.id.between(first, last)))
    connection.execute(delete(experiments).where(experiments.c.id == experiment_id))


def _collecting(found: dict[str, ArrayRecord]) -> Callable[[Any], str]:
    def encode(value: Any) -> str:
        encoded = documents.encode_configuration(value, part=True)
        for record in encoded.arrays:
            found.setdefault(record.id, record)
        return encoded.document

    return encode


def _trial_rows(
    experiment: Experiment, encode: Callable[[Any], str]
) -> Iterator[tuple[str, str, int, str]]:
    experiment_id, id_of = str(experiment.id), experiment.trial_ids.text
    for index, document in enumerate(experiment.expansion.documents(encode)):
        yield id_of(index), experiment_id, index, whole(document)


def _in_chunks(
    rows: Iterator[tuple[Any, ...]],
) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        yield chunk
