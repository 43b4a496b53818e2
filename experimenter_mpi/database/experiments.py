"""The experiments table: look up, store whole, compare, delete."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import delete, insert, select

from ..errors import (
    ConfigurationError,
    CorruptDocumentError,
    DatabaseError,
    ExperimentMismatchError,
)
from ..experiment.experiment import Experiment
from . import comparison, documents, notes, studies
from .file import timestamps
from .file.rows import all_checked
from .file.tables import (
    blocks,
    experiments,
    key_range,
    set_aside,
    snapshots,
    trial_counts,
    trial_errors,
    trial_records,
)
from .files import remove_unused, used_files
from .finished import recount_few
from .flat_views import forget_view
from .lookup import experiment_row, find_named, id_range, named_row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from ..experiment.blocks import Study
    from .file.storage import Storage
    from .studies import Change


class Experiments:
    """The experiments of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, experiment_id: UUID | str) -> Experiment:
        with self._storage.reading() as connection:
            row = experiment_row(self._storage, connection, experiment_id)
        return self.made(row)

    def get_named(self, name: str) -> Experiment:
        with self._storage.reading() as connection:
            row = named_row(self._storage, connection, name)
        return self.made(row)

    def get_all(self) -> list[Experiment]:
        query = select(experiments).order_by(experiments.c.sequence)
        with self._storage.reading() as connection:
            rows = all_checked(experiments, connection.execute(query).all())
        return [self.made(row) for row in rows]

    def restore(self, experiment: Experiment) -> Experiment:
        """Give the experiment the id and seed it is stored with, if it is."""
        with self._storage.reading() as connection:
            row = find_named(connection, experiment.name)
        if row is not None and (change := self._change(row, experiment)):
            raise self._mismatch(row, experiment, change)
        return experiment

    def change(self, experiment: Experiment) -> Change | None:
        """Return what extending it would change; None if nothing, or if it is new."""
        with self._storage.reading() as connection:
            row = find_named(connection, experiment.name)
        return None if row is None else self._change(row, experiment)

    def enrol(
        self,
        experiment: Experiment,
        *,
        force_overwrite: bool = False,
        id_by_content: bool = False,
        extend: bool = False,
    ) -> Change | None:
        """Store a new experiment, or restore it; all or nothing. No trial has a row.

        ``force_overwrite`` deletes a stored one of this name first; ``id_by_content``
        gives a new one, unless it was given one, the same id in whatever database.
        With ``extend`` a stored one takes over another configuration; what that changed
        is returned.
        """
        unused: set[str] = set()
        with self._storage.transaction() as connection:
            row = find_named(connection, experiment.name)
            if row is not None and not force_overwrite:
                change = self._change(row, experiment)
                if change and not extend:
                    raise self._mismatch(row, experiment, change)
                if change:
                    studies.extend(
                        self._storage, connection, row, experiment.configuration, change
                    )
                    self._restore(row, experiment, change.after)
                recount_few(connection, row.sequence)
                return change
            if row is not None:
                unused = used_files(connection, row.id)
                _delete(connection, row)
            if id_by_content and not experiment.has_given_id:
                experiment.id = _id_by_content(experiment)
            self._store(connection, experiment)
        remove_unused(self._storage, unused)
        return None

    def delete(self, experiment_id: UUID | str) -> None:
        """Remove an experiment with all that belongs to it, then its files."""
        with self._storage.transaction() as connection:
            row = experiment_row(self._storage, connection, experiment_id)
            unused = used_files(connection, row.id)
            _delete(connection, row)
        remove_unused(self._storage, unused)

    def _store(self, connection: Connection, experiment: Experiment) -> None:
        self._require_free_id(connection, experiment)
        experiment.study = None  # which another database may have
        whole = documents.encode_configuration(experiment.configuration)
        documents.warn_of_pickles(whole.pickled)
        values = {
            "id": str(experiment.id),
            "name": experiment.name,
            "function_name": experiment.function_name,
            "init_store_function_name": experiment.init_store_function_name,
            "include_file": experiment.include_file,
            "configuration": whole.document,
            "trial_count": len(experiment),
            "created_at": timestamps.now(),
            "seed": str(experiment.seed),
            "trial_prefix": experiment.trial_ids.prefix,
        }
        new = insert(experiments).returning(experiments.c.sequence)
        sequence = connection.execute(new, values).scalar_one()
        block = {"first": 0, "count": len(experiment), "kind": "grid"}
        connection.execute(insert(blocks), {"experiment": sequence, **block})
        kept = documents.settled_records(self._storage, whole.arrays)
        documents.keep_arrays(connection, str(experiment.id), kept)

    def _require_free_id(self, connection: Connection, experiment: Experiment) -> None:
        mine = experiments.c.trial_prefix == experiment.trial_ids.prefix
        query = select(experiments.c.name).where(mine)
        name = connection.execute(query).scalar_one_or_none()
        if name is not None:
            msg = (
                f"the id {experiment.id} belongs to experiment '{name}' in "
                f"{self._storage.name}: give '{experiment.name}' another id, or none"
            )
            raise DatabaseError(msg)

    def _change(self, row: Row[Any], experiment: Experiment) -> Change | None:
        """Return what it asks for differently, or give it its stored id and trials.

        Raises:
            ExperimentMismatchError: it has other functions, or another seed.
        """
        if self._is_the_same(row, experiment):
            study = (
                None
                if row.asked_count is None
                else studies.study(self._storage, row, experiment)
            )
            self._restore(row, experiment, study)
            return None
        stored = self.made(row)
        if lines := comparison.other_functions(stored, experiment):
            msg = (
                f"experiment '{experiment.name}' is stored in {self._storage.name} "
                f"with another function or seed: {comparison.summary(lines)}. Give it "
                "another name, or rerun with --overwrite (force_overwrite=True), which "
                "deletes what is stored."
            )
            raise ExperimentMismatchError(msg)
        change = studies.change(self._storage, row, stored, experiment)
        if change:
            return change
        self._restore(row, experiment, change.study)
        return None

    @staticmethod
    def _restore(row: Row[Any], experiment: Experiment, study: Study | None) -> None:
        experiment.become(UUID(row.id), comparison.seed_of(row))
        experiment.study = study

    def _is_the_same(self, row: Row[Any], experiment: Experiment) -> bool:
        asked = row.trial_count if row.asked_count is None else row.asked_count
        # After a merge more may be asked for than by the configuration.
        is_all = asked == experiment.expansion.size
        return is_all and comparison.is_written_alike(row, experiment)

    def _mismatch(
        self, row: Row[Any], experiment: Experiment, change: Change
    ) -> ExperimentMismatchError:
        lines = comparison.different_values(self.made(row), experiment)
        what = (
            f"another configuration: {comparison.summary(lines)}"
            if lines
            else "trials that it does not ask for"
        )
        return ExperimentMismatchError(
            f"experiment '{experiment.name}' is stored in {self._storage.name} with "
            f"{what}. Rerun with --extend (extend=True) to go on: {change}. Or give it "
            "another name, to keep both apart; or rerun with --overwrite "
            "(force_overwrite=True), which deletes what is stored."
        )

    def made(self, row: Row[Any]) -> Experiment:
        """Return the experiment that a row describes."""
        what = f"configuration of experiment '{row.name}'"
        value = documents.decode(self._storage, row.id, row.configuration, what)
        seed = comparison.seed_of(row)
        try:
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
        if row.asked_count is not None:
            experiment.study = studies.study(self._storage, row, experiment)
        elif experiment.expansion.size != row.trial_count:
            made = f"makes {experiment.expansion.size} trials"
            raise self._not_ours(row, f"it {made}, but {row.trial_count} are stored")
        # Its functions are names; what runs it next is the script they mean.
        main = sys.modules.get("__main__")
        experiment.namespace = {} if main is None else vars(main)
        return experiment

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


def _delete(connection: Connection, row: Row[Any]) -> None:
    # Foreign keys lead from arrays and runs; trials and snapshots go by their range.
    for column in (trial_records.c.key, trial_errors.c.key):
        which = column.between(*key_range(row.sequence))
        connection.execute(delete(column.table).where(which))
    its_snapshots = snapshots.c.trial_id.between(*id_range(row.id))
    connection.execute(delete(snapshots).where(its_snapshots))
    notes.forget(connection, row.id)
    for table in (blocks, set_aside, trial_counts):
        connection.execute(delete(table).where(table.c.experiment == row.sequence))
    connection.execute(delete(experiments).where(experiments.c.id == row.id))
    forget_view(connection, row.sequence)
