"""The trials table as its users ask for it, and their own changes to it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..encoding.joining import joined, keys_of
from ..errors import ConfigurationError, TrialNotFinishedError
from ..experiment.experiment import Trial
from ..trial.outcome import Status
from . import documents, finished, stored_array
from .deaths import Deaths
from .files import remove_unused
from .gaps import Gaps
from .garbage import forget_arrays
from .lazy_results import lazy
from .lookup import keys_of_trial, named_row, trial_keys, trial_row
from .records import TrialKeys, every, find, require_listable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Row

    from ..coordination.pending import Ranges
    from ..encoding.codec import Encoded
    from ..experiment.ranges import Numbers
    from ..experiment.share import Share
    from .file.storage import Storage
    from .records import TrialRow

_COMPLETE = (
    "INSERT INTO trial_records (key, status, run_id, configuration, results, "
    "finished_at) VALUES (?, 2, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "status = 2, run_id = excluded.run_id, results = excluded.results, "
    # When it was finished, not when its results were exchanged.
    "finished_at = iif(status = 2, coalesce(finished_at, excluded.finished_at), "
    "excluded.finished_at)"
)
_ADD_RESULTS = "UPDATE trial_records SET results = ? WHERE key = ?"
_FORGET_ERROR = "DELETE FROM trial_errors WHERE key = ?"


class Trials:
    """The trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, trial_id: UUID | str) -> Trial:
        with self._storage.reading() as connection:
            row = trial_row(self._storage, connection, trial_id)
        return self._trial(row)

    def of_experiment(
        self, experiment_id: UUID | str, *, aside: bool = False
    ) -> list[Trial]:
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
        return list(map(self._trial, every(self._storage, keys, aside=aside)))

    def named(self, name: str, *, aside: bool = False) -> list[Trial]:
        return self.of_experiment(self._named(name).id, aside=aside)

    def ids_named(self, name: str, *, aside: bool = False) -> list[UUID]:
        keys = TrialKeys(self._storage, self._named(name))
        require_listable(self._storage, keys)
        numbers = range(keys.size) if aside or keys.is_plain else keys.asked
        return [keys.ids[number] for number in numbers]

    def progress(self, name: str, *, aside: bool = False) -> list[dict[str, Any]]:
        experiment = self._named(name)
        keys = TrialKeys(self._storage, experiment)
        return [
            {
                "trial_id": row.id,
                "experiment_id": row.experiment_id,
                "experiment_name": experiment.name,
                "trial_index": row.trial_index,
                "configuration": self._decode(row, "configuration"),
                "has_finished": row.status == Status.FINISHED,
                "status": row.status,
                "attempts": row.attempts,
                "started_at": row.started_at,
                "finished_at": row.finished_at,
                "duration": row.duration,
                "run_id": row.run_id,
                "rank": row.rank,
                "hostname": row.hostname,
                "error_type": row.error_type,
                "error_message": row.error_message,
                "error": row.error,
            }
            for row in every(self._storage, keys, results=False, aside=aside)
        ]

    def finished_ratio(self, name: str) -> float:
        counts = self.counts(self._named(name).id)
        return counts[Status.FINISHED] / sum(counts.values())

    def counts(
        self, experiment_id: UUID | str, share: Share | None = None
    ) -> dict[str, int]:
        """Return the number of trials of each status."""
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
            return finished.counts(connection, keys, share)

    def unfinished(
        self,
        experiment_id: UUID | str,
        *,
        retry_failed: bool = True,
        share: Share | None = None,
    ) -> Ranges:
        """Return which trials are to be run, in order; those of a share, if given."""
        return self._gaps(experiment_id, retry_failed=retry_failed).ranges(share)

    def unfinished_among(
        self, experiment_id: UUID | str, numbers: Numbers, *, retry_failed: bool
    ) -> list[range]:
        """Return which of these trials would be run if they were asked for."""
        gaps = self._gaps(experiment_id, retry_failed=retry_failed)
        return list(gaps.among(numbers))

    def _gaps(self, experiment_id: UUID | str, *, retry_failed: bool) -> Gaps:
        fatal = Deaths(self._storage).fatal(experiment_id)
        with self._storage.reading() as connection:
            keys = trial_keys(self._storage, connection, experiment_id)
        return Gaps(self._storage, keys, spared=fatal, failed=retry_failed)

    def complete(self, trial_id: UUID | str, results: dict[str, Any]) -> None:
        encoded = documents.encode_payload(self._storage, "results", results)
        self.complete_encoded(trial_id, encoded)

    def complete_encoded(
        self, trial_id: UUID | str, results: Encoded, run_id: int | None = None
    ) -> None:
        with self._storage.transaction() as connection:
            keys, number = keys_of_trial(self._storage, connection, trial_id)
            row = find(connection, keys, number)
            unused = forget_arrays(
                connection, row.experiment_id, documents.references(row.results)
            )
            documents.keep_arrays(connection, row.experiment_id, results.arrays)
            key, text = keys.key(number), row.configuration
            values = key, run_id, text, results.document, time.time()
            connection.exec_driver_sql(_COMPLETE, values)
            connection.exec_driver_sql(_FORGET_ERROR, (key,))
            finished.add(connection, keys.sequence, row.status != Status.FINISHED)
        remove_unused(self._storage, unused)

    def add_results(self, trial_id: UUID | str, results: dict[str, Any]) -> None:
        """Add results to a finished trial; see ``ExperimentDatabase.add_results``."""
        added = documents.encode_payload(self._storage, "results", results)
        with self._storage.transaction() as connection:
            keys, number = keys_of_trial(self._storage, connection, trial_id)
            row = find(connection, keys, number)
            if row.status != Status.FINISHED:
                msg = (
                    f"trial {number} ({row.id}) is {row.status}: results can be added "
                    "to a finished trial only"
                )
                raise TrialNotFinishedError(msg)
            document = row.results or "{}"
            _require_new(row, keys_of(document) & keys_of(added.document))
            documents.keep_arrays(connection, row.experiment_id, added.arrays)
            values = joined(document, added.document), keys.key(number)
            connection.exec_driver_sql(_ADD_RESULTS, values)

    def _named(self, name: str) -> Row[Any]:
        with self._storage.reading() as connection:
            return named_row(self._storage, connection, name)

    def _trial(self, row: TrialRow) -> Trial:
        return Trial(
            UUID(row.id),
            UUID(row.experiment_id),
            row.trial_index,
            self._decode(row, "configuration"),
            None if row.results is None else self._results(row),
            row.status,
            row.attempts,
            row.error_type,
            row.error_message,
            row.error,
            row.started_at,
            row.finished_at,
            row.duration,
            row.rank,
            row.hostname,
            row.run_id,
        )

    def _results(self, row: TrialRow) -> Any:
        """Return the results, whose arrays in files are read when they are needed."""
        what = f"results of trial {row.id}"
        refer = partial(stored_array.refer, self._storage, row.experiment_id, what)
        return lazy(self._decode(row, "results", refer))

    def _decode(
        self,
        row: TrialRow,
        column: str,
        refer: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Any:
        what = f"{column} of trial {row.id}"
        document = getattr(row, column)
        return documents.decode(self._storage, row.experiment_id, document, what, refer)


def _require_new(row: TrialRow, known: set[str]) -> None:
    if known:
        names = ", ".join(f"'{name}'" for name in sorted(known))
        msg = (
            f"trial {row.trial_index} ({row.id}) has the results {names} already: "
            "add others, or run it again"
        )
        raise ConfigurationError(msg)
